import * as z from 'zod';

import { InvalidInput } from '../../kernel/errors.ts';
import { parse } from '../../kernel/input.ts';
import { err, ok } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';
import { anyText, freeText, utf8Length } from '../../kernel/text.ts';
import { UnrepresentableValue } from '../errors.ts';
import { variableKey } from '../model.ts';
import type { Variable, VariableInput } from '../model.ts';
import { writeDotenv } from './dotenv.ts';
import { writeJson } from './json.ts';
import { writePostman } from './postman.ts';
import { MAX_BYTES, maxBytes, parseVariables } from './read.ts';
import { variableFormats } from './variable-file.ts';
import type { PlainVariable, VariableFormat } from './variable-file.ts';
import { writeYaml } from './yaml.ts';

/** How a file is written. */
export interface FormatOptions {
  /** The name of the environment in a Postman file; `"Environment"` by default. */
  readonly name?: string;
  /** The largest text that is written, in bytes of UTF-8; 262,144 (256 KiB) by default, which is also the most that is read. */
  readonly maxBytes?: number;
}

/** The text of a file, and the keys that are not in it because their variables are sensitive. */
export interface FormattedVariables {
  readonly text: string;
  readonly sensitiveKeys: string[];
}

const variable = z
  .object({
    key: variableKey,
    value: anyText.optional(),
    sensitive: z.boolean().optional(),
    description: freeText(500).optional(),
  })
  .refine((each) => each.sensitive === true || each.value !== undefined, {
    path: ['value'],
    message: 'must be a text',
  });

const callSchema = z.tuple([
  z.enum(variableFormats),
  z.array(variable).superRefine((variables, ctx) => {
    const seen = new Set<string>();
    variables.forEach(({ key }, index) => {
      if (seen.has(key)) ctx.addIssue({ code: 'custom', path: [index, 'key'], message: 'must be unique' });
      seen.add(key);
    });
  }),
  z.strictObject({ name: anyText.optional(), maxBytes: maxBytes.optional() }).optional(),
]);

const writers: Record<
  VariableFormat,
  (variables: readonly PlainVariable[], name: string) => Result<string, UnrepresentableValue>
> = {
  dotenv: writeDotenv,
  json: (variables) => ok(writeJson(variables)),
  yaml: (variables) => ok(writeYaml(variables)),
  postman: (variables, name) => ok(writePostman(variables, name)),
};

/**
 * Writes variables as a file of this format, for other tools and for people. Sensitive variables are left out and their keys listed.
 * What was written is read back before it is given out, so that `parseVariables` gives the same keys and values in the same order, and,
 * from JSON, YAML and Postman files, the same descriptions; in a dotenv file descriptions are comments.
 *
 * Errors: `unrepresentable_value` when the format has no way to write a value; only dotenv has such values, mostly ones in which all
 * kinds of quotes meet a line break. `invalid_input` when a key is not allowed or is given twice, when something is not a text that every
 * storage can hold, or when the file would be larger than `maxBytes`.
 *
 * @example
 * const environment = unwrap(await ada.environments.get(ref));
 * const { text, sensitiveKeys } = unwrap(formatVariables('dotenv', environment.variables));
 */
export function formatVariables(
  format: VariableFormat,
  variables: readonly (Variable | VariableInput)[],
  options?: FormatOptions,
): Result<FormattedVariables, UnrepresentableValue | InvalidInput> {
  return parse(callSchema, [format, variables, options], ['format', 'variables', 'options']).andThen(
    ([format, checked, options]) => {
      const sensitiveKeys = checked.filter(({ sensitive }) => sensitive === true).map(({ key }) => key);
      const plain = checked.flatMap(({ key, value, sensitive, description }) =>
        sensitive === true || value === undefined
          ? []
          : [{ key, value, ...(description === undefined ? {} : { description }) }],
      );
      return writers[format](plain, options?.name ?? 'Environment')
        .andThen((text) => readsBack(format, text, plain, options?.maxBytes ?? MAX_BYTES))
        .map((text) => ({ text, sensitiveKeys }));
    },
  );
}

function readsBack(
  format: VariableFormat,
  text: string,
  written: readonly PlainVariable[],
  limit: number,
): Result<string, UnrepresentableValue | InvalidInput> {
  if (utf8Length(text) > limit) {
    return err(new InvalidInput([{ path: 'variables', message: `need more than ${limit} bytes in this format` }]));
  }
  const read = parseVariables(format, text, { maxBytes: limit }).unwrapOr([]);
  const lost = written.find((variable, index) => !isSame(variable, read[index], format !== 'dotenv'));
  return lost ? err(new UnrepresentableValue(format, lost.key, 'it does not read back equal')) : ok(text);
}

function isSame(written: PlainVariable, read: VariableInput | undefined, described: boolean): boolean {
  if (read === undefined || !('value' in read)) return false;
  return (
    written.key === read.key && written.value === read.value && (!described || written.description === read.description)
  );
}
