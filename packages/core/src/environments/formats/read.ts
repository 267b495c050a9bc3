import * as z from 'zod';

import { InvalidInput } from '../../kernel/errors.ts';
import { parse } from '../../kernel/input.ts';
import { err } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';
import { anyText, utf8Length } from '../../kernel/text.ts';
import type { VariableInput } from '../model.ts';
import { readDotenv } from './dotenv.ts';
import { readJson } from './json.ts';
import { readPostman } from './postman.ts';
import { variableFormats } from './variable-file.ts';
import type { ReadFile, VariableFile, VariableFormat } from './variable-file.ts';
import { readYaml } from './yaml.ts';

/** 256 KiB: several times what an environment may hold by default, and read in a second or two whatever is in it. */
export const MAX_BYTES = 262_144;

/** How a file is read. */
export interface ParseOptions {
  /**
   * The largest file that is read, in bytes of UTF-8; 262,144 (256 KiB) by default. Reading takes time in proportion, and it blocks: up to
   * about ten seconds for 1 MiB of text that was made to be slow.
   */
  readonly maxBytes?: number;
}

export const maxBytes = z.int().positive();

const callSchema = z
  .tuple([z.enum(variableFormats), z.string(), z.strictObject({ maxBytes: maxBytes.optional() }).optional()])
  .superRefine(([, text, options], ctx) => {
    const limit = options?.maxBytes ?? MAX_BYTES;
    if (utf8Length(text) > limit)
      ctx.addIssue({ code: 'custom', path: [1], message: `must have at most ${limit} bytes in UTF-8` });
    else if (!anyText.safeParse(text).success)
      ctx.addIssue({ code: 'custom', path: [1], message: 'must not contain NUL or unpaired surrogates' });
  });

const readers: Record<VariableFormat, ReadFile> = {
  dotenv: readDotenv,
  json: readJson,
  yaml: readYaml,
  postman: readPostman,
};

/**
 * Reads the variables of a file, ready for `environments.create` or `setVariables`, in the order of the file.
 *
 * - `dotenv`: as the package dotenv reads it, without expanding `$`.
 * - `json`, `yaml`: a list of `{ key, value, description?, sensitive? }`, or one object of keys and values. Numbers and booleans become
 *   the characters that stand in the file: `1.10` is `"1.10"`, `no` is `"no"`.
 * - `postman`: an exported environment. Secret variables become sensitive ones; disabled ones are left out, see {@link parseVariableFile}.
 *
 * Errors: `invalid_input` when the text is not of this format, when a key is not allowed or is given twice, when a value is missing or is
 * itself a list or an object, or when the text is larger than `maxBytes`. The issues name up to 20 places by path and line, never a value.
 *
 * @example
 * const variables = unwrap(parseVariables('dotenv', 'API_URL=https://api.example.com\n'));
 * await unwrap(ada.environments.setVariables(environment.ref, { variables }));
 */
export function parseVariables(
  format: VariableFormat,
  text: string,
  options?: ParseOptions,
): Result<VariableInput[], InvalidInput> {
  return parseVariableFile(format, text, options).map((file) => [...file.variables]);
}

/**
 * Reads a file as {@link parseVariables} does, and also tells the name that a Postman file gives its environment, and what was left out
 * and why. Errors: as there.
 */
export function parseVariableFile(
  format: VariableFormat,
  text: string,
  options?: ParseOptions,
): Result<VariableFile, InvalidInput> {
  return parse(callSchema, [format, text, options], ['format', 'text', 'options']).andThen(() => {
    try {
      return readers[format](text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n'));
    } catch {
      // The parsers descend by recursion; what they throw would also quote the text.
      return err(new InvalidInput([{ path: 'text', message: 'cannot be read: nested too deeply' }]));
    }
  });
}
