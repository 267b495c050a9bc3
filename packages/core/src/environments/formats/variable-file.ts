import type { InvalidInput } from '../../kernel/errors.ts';
import type { Result } from '../../kernel/result.ts';
import type { VariableInput } from '../model.ts';

/** The file formats in which variables are exchanged with other tools. */
export const variableFormats = ['dotenv', 'json', 'yaml', 'postman'] as const;
/** One of `variableFormats`. */
export type VariableFormat = (typeof variableFormats)[number];

/** Something in a file that was understood and not taken over. */
export interface LeftOutVariable {
  /** Where it stands, for example `values[3]`. */
  readonly path: string;
  readonly key: string;
  /** Why it was not taken over, in words for a person. */
  readonly reason: string;
}

/** What a file of variables says. */
export interface VariableFile {
  /** The name that the file gives its environment. Only a Postman file can have one. */
  readonly name: string | null;
  /** In the order of the file. */
  readonly variables: readonly VariableInput[];
  /** Today only the disabled variables of a Postman file. */
  readonly leftOut: readonly LeftOutVariable[];
}

/** A variable that a file can show: not sensitive, and checked. */
export interface PlainVariable {
  readonly key: string;
  readonly value: string;
  readonly description?: string;
}

/** Reads text in which line breaks are `\n`, and which has neither NUL nor unpaired surrogates. */
export type ReadFile = (text: string) => Result<VariableFile, InvalidInput>;
