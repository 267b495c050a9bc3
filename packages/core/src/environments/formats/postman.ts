import { v5 as uuidOfName } from 'uuid';

import type { InvalidInput } from '../../kernel/errors.ts';
import { err } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';
import type { VariableInput } from '../model.ts';
import { fieldsOf, nameOf, readJsonDocument } from './document.ts';
import type { Place } from './document.ts';
import { invalid, Issues } from './issues.ts';
import { absent, descriptionAt, flagAt, keyAt, valueAt } from './listing.ts';
import type { LeftOutVariable, PlainVariable, VariableFile } from './variable-file.ts';

/** Under which names of environments become ids, so that exporting one twice gives the same text. */
const ID_NAMESPACE = '1ead4d95-70ba-4c8e-917b-513582f8f289';

/** Reads what Postman exports for an environment, or for its globals. */
export function readPostman(text: string): Result<VariableFile, InvalidInput> {
  return readJsonDocument(text).andThen((root) => {
    if (root.kind !== 'map') return err(invalid('', `must be a Postman environment, not ${nameOf(root)}`, root.line));
    const issues = new Issues();
    const fields = fieldsOf(root, '', issues);
    if (fields.has('item') && fields.has('info'))
      return err(invalid('', 'this is a Postman collection; export the environment instead'));
    const scope = fields.get('_postman_variable_scope')?.value;
    if (scope && !(scope.kind === 'text' && (scope.text === 'environment' || scope.text === 'globals'))) {
      issues.add('_postman_variable_scope', 'must be "environment" or "globals"', scope.line);
    }
    const values = fields.get('values')?.value ?? absent(root);
    if (values.kind !== 'list') issues.add('values', `must be a list of variables, not ${nameOf(values)}`, values.line);
    const name = fields.get('name')?.value;
    const read = values.kind === 'list' ? variablesIn(values.items(), issues) : { variables: [], leftOut: [] };
    return issues.unlessAny({ name: name?.kind === 'text' ? name.text : null, ...read });
  });
}

function variablesIn(
  values: readonly Place[],
  issues: Issues,
): { variables: VariableInput[]; leftOut: LeftOutVariable[] } {
  const variables: VariableInput[] = [];
  const leftOut: LeftOutVariable[] = [];
  const lines = new Map<string, number>();
  values.forEach((item, index) => {
    const path = `values[${index}]`;
    if (item.kind !== 'map')
      return issues.add(path, `must be an object { key, value }, not ${nameOf(item)}`, item.line);
    const fields = fieldsOf(item, path, issues);
    const keyPlace = fields.get('key')?.value ?? absent(item);
    // Newman writes no `enabled`; such a variable is in use.
    if (flagAt(fields.get('enabled')?.value, `${path}.enabled`, issues) === false) {
      leftOut.push({ path, key: keyPlace.kind === 'text' ? keyPlace.text : '', reason: 'it is disabled' });
      return;
    }
    const key = keyAt(keyPlace, `${path}.key`, lines, issues);
    const value = valueAt(fields.get('value')?.value ?? absent(item), `${path}.value`, issues);
    const about = descriptionAt(
      descriptionOf(fields.get('description')?.value, path, issues),
      `${path}.description`,
      issues,
    );
    const type = fields.get('type')?.value;
    if (key === null || value === null) return;
    variables.push({
      key,
      value,
      ...(type?.kind === 'text' && type.text === 'secret' ? { sensitive: true } : {}),
      ...about,
    });
  });
  return { variables, leftOut };
}

/** Postman writes a description as a text or, with its markup named, as `{ content, type }`. */
function descriptionOf(place: Place | undefined, path: string, issues: Issues): Place | undefined {
  return place?.kind === 'map' ? fieldsOf(place, `${path}.description`, issues).get('content')?.value : place;
}

export function writePostman(variables: readonly PlainVariable[], name: string): string {
  const environment = {
    id: uuidOfName(name, ID_NAMESPACE),
    name,
    values: variables.map(({ key, value, description }) => ({
      key,
      value,
      type: 'default',
      enabled: true,
      description,
    })),
    _postman_variable_scope: 'environment',
  };
  return `${JSON.stringify(environment, null, 2)}\n`;
}
