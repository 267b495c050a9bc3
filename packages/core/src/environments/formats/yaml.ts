import { Document, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';

import type { InvalidInput } from '../../kernel/errors.ts';
import { ok } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';
import { readYamlDocument } from './document.ts';
import { Issues } from './issues.ts';
import { variablesOf } from './listing.ts';
import type { PlainVariable, VariableFile } from './variable-file.ts';

export function readYaml(text: string): Result<VariableFile, InvalidInput> {
  return readYamlDocument(text).andThen((root) => {
    if (root.kind === 'nothing') return ok({ name: null, variables: [], leftOut: [] });
    const issues = new Issues();
    const variables = variablesOf(root, issues);
    return issues.unlessAny({ name: null, variables, leftOut: [] });
  });
}

/**
 * `KEY: "value"`, or, as soon as one variable has a description, the list that can hold it. Values are always quoted, so that readers
 * of YAML 1.1 and of 1.2 agree that they are text.
 */
export function writeYaml(variables: readonly PlainVariable[]): string {
  const document = new Document(undefined, { compat: 'yaml-1.1' });
  const schema = document.schema;
  if (variables.some((variable) => variable.description !== undefined)) {
    const list = new YAMLSeq(schema);
    for (const { key, value, description } of variables) {
      const item = new YAMLMap(schema);
      item.items.push(new Pair(new Scalar('key'), quoted(key)), new Pair(new Scalar('value'), quoted(value)));
      if (description !== undefined) item.items.push(new Pair(new Scalar('description'), quoted(description)));
      list.items.push(item);
    }
    document.contents = list;
  } else {
    const map = new YAMLMap(schema);
    for (const { key, value } of variables) map.items.push(new Pair(new Scalar(key), quoted(value)));
    document.contents = map;
  }
  return document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER });
}

function quoted(text: string): Scalar {
  const scalar = new Scalar(text);
  scalar.type = Scalar.QUOTE_DOUBLE;
  return scalar;
}
