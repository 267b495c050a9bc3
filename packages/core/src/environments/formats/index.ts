/**
 * Variables in the files of other tools: dotenv, JSON, YAML and Postman environments. Pure functions; nothing is read from or written to
 * disk, and `process.env` is left alone.
 *
 * @example
 * import { formatVariables, parseVariables } from '@vivarium/core/variables';
 */
export { parseVariableFile, parseVariables } from './read.ts';
export type { ParseOptions } from './read.ts';
export { variableFormats } from './variable-file.ts';
export type { LeftOutVariable, VariableFile, VariableFormat } from './variable-file.ts';
export { formatVariables } from './write.ts';
export type { FormatOptions, FormattedVariables } from './write.ts';
export { UnrepresentableValue } from '../errors.ts';
export type { Variable, VariableInput } from '../model.ts';
export { InvalidInput, isVivariumError, VivariumError } from '../../kernel/errors.ts';
export type { InputIssue } from '../../kernel/errors.ts';
export { err, ok, Result, ResultAsync, safeTry, unwrap } from '../../kernel/result.ts';
