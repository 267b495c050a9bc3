import type { InvalidInput } from '../../kernel/errors.ts';
import type { Result } from '../../kernel/result.ts';
import { readJsonDocument } from './document.ts';
import { Issues } from './issues.ts';
import { variablesOf } from './listing.ts';
import type { PlainVariable, VariableFile } from './variable-file.ts';

export function readJson(text: string): Result<VariableFile, InvalidInput> {
  return readJsonDocument(text).andThen((root) => {
    const issues = new Issues();
    const variables = variablesOf(root, issues);
    return issues.unlessAny({ name: null, variables, leftOut: [] });
  });
}

/** The list, not the object: it keeps descriptions, and the order also for keys that look like numbers. */
export function writeJson(variables: readonly PlainVariable[]): string {
  return `${JSON.stringify(variables, null, 2)}\n`;
}
