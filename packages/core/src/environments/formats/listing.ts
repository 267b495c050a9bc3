import { freeText, isStorable } from '../../kernel/text.ts';
import { variableKey } from '../model.ts';
import type { VariableInput } from '../model.ts';
import { fieldsOf, nameOf } from './document.ts';
import type { Place } from './document.ts';
import type { Issues } from './issues.ts';

const description = freeText(500);
const itemFields = new Set(['key', 'value', 'description', 'sensitive', 'keep']);

export const KEY_RULE = 'a key has 1 to 256 letters (A-Z, a-z), digits, hyphens or underscores';

/**
 * The variables of a JSON or YAML document, in either of two shapes: a list of `{ key, value, description? }`, as Vivarium stores them,
 * or one object with a key and a value for each.
 */
export function variablesOf(root: Place, issues: Issues): VariableInput[] {
  switch (root.kind) {
    case 'list':
      return listed(root.items(), issues);
    case 'map':
      return flat(root, issues);
    default:
      issues.add(
        '',
        `must be a list of { key, value } or an object of keys and values, not ${nameOf(root)}`,
        root.line,
      );
      return [];
  }
}

function flat(root: Place & { kind: 'map' }, issues: Issues): VariableInput[] {
  const variables: VariableInput[] = [];
  for (const [key, { key: place, value }] of fieldsOf(root, '', issues)) {
    if (!variableKey.safeParse(key).success) {
      // The key is not repeated: where a file is not what it seems, a secret may stand there.
      issues.add(
        `line ${place.line}`,
        key === '<<' ? 'merge keys (<<) are not read; write the variables out' : KEY_RULE,
      );
      continue;
    }
    const text = valueAt(value, key, issues);
    if (text !== null) variables.push({ key, value: text });
  }
  return variables;
}

function listed(items: readonly Place[], issues: Issues): VariableInput[] {
  const lines = new Map<string, number>();
  return items.flatMap((item, index): VariableInput[] => {
    const path = `[${index}]`;
    if (item.kind !== 'map') {
      issues.add(path, `must be an object { key, value }, not ${nameOf(item)}`, item.line);
      return [];
    }
    const fields = fieldsOf(item, path, issues);
    for (const [name, { key }] of fields) {
      if (!itemFields.has(name)) issues.add(path, `has a field other than ${[...itemFields].join(', ')}`, key.line);
    }
    const key = keyAt(fields.get('key')?.value ?? absent(item), `${path}.key`, lines, issues);
    const about = descriptionAt(fields.get('description')?.value, `${path}.description`, issues);
    const sensitive = flagAt(fields.get('sensitive')?.value, `${path}.sensitive`, issues);
    const keep = flagAt(fields.get('keep')?.value, `${path}.keep`, issues);
    if (keep) {
      if (!sensitive || fields.has('value'))
        issues.add(path, 'keep goes with sensitive: true and without a value', item.line);
      return key === null ? [] : [{ key, sensitive: true, keep: true, ...about }];
    }
    const value = valueAt(fields.get('value')?.value ?? absent(item), `${path}.value`, issues);
    return key === null || value === null
      ? []
      : [{ key, value, ...(sensitive === undefined ? {} : { sensitive }), ...about }];
  });
}

/** A field that is not there stands where its object stands. */
export function absent(item: Place): Place {
  return { kind: 'nothing', line: item.line };
}

/** A key that is allowed, and not one of `lines`, to which it is added. */
export function keyAt(place: Place, path: string, lines: Map<string, number>, issues: Issues): string | null {
  if (place.kind !== 'text') {
    issues.add(path, `must be a text, not ${nameOf(place)}`, place.line);
    return null;
  }
  if (!variableKey.safeParse(place.text).success) {
    issues.add(path, KEY_RULE, place.line);
    return null;
  }
  const earlier = lines.get(place.text);
  if (earlier !== undefined) {
    issues.add(path, `the same key is given twice, first on line ${earlier}`, place.line);
    return null;
  }
  lines.set(place.text, place.line);
  return place.text;
}

/** A value as it is written: numbers, `true` and `false` are the characters that stand there. */
export function valueAt(place: Place, path: string, issues: Issues): string | null {
  if (place.kind === 'nothing') {
    issues.add(path, 'has no value; write "" for an empty text', place.line);
    return null;
  }
  if (place.kind !== 'text' && place.kind !== 'literal') {
    issues.add(path, `must be a text, a number, true or false, not ${nameOf(place)}`, place.line);
    return null;
  }
  if (!isStorable(place.text)) {
    issues.add(path, 'must not contain NUL or unpaired surrogates', place.line);
    return null;
  }
  return place.text;
}

export function descriptionAt(place: Place | undefined, path: string, issues: Issues): { description?: string } {
  if (place === undefined || place.kind === 'nothing') return {};
  const text = description.safeParse(place.kind === 'text' ? place.text : undefined);
  if (text.success) return { description: text.data };
  issues.add(
    path,
    place.kind === 'text' ? 'must have at most 500 characters, no NUL and no unpaired surrogates' : 'must be a text',
    place.line,
  );
  return {};
}

export function flagAt(place: Place | undefined, path: string, issues: Issues): boolean | undefined {
  if (place === undefined) return undefined;
  const flag = place.kind === 'literal' ? place.text.toLowerCase() : '';
  if (flag !== 'true' && flag !== 'false') issues.add(path, 'must be true or false', place.line);
  return flag === 'true';
}
