/** What is malformed about the arguments of many methods. */
import type { MalformedCall } from './malformed-calls.ts';

/** Of nothing that is there. */
export const id = '00000000-0000-7000-8000-000000000001';

/** Everything that is no id, as the first argument. */
export const ids = (...rest: readonly unknown[]): readonly MalformedCall[] =>
  [undefined, null, 1, '', 'not an id', `${id}\n`, { id }].map((given) => ({ args: [given, ...rest], path: 'id' }));
/** One field of an input, with each of these values. */
export const within = (input: object, field: string, values: readonly unknown[], ...before: readonly unknown[]) =>
  values.map((value) => ({ args: [...before, { ...input, [field]: value }], path: field }));

export const wrongIds = [7, '', 'x', `${id} `];
export const names = [1, '', '   ', 'x'.repeat(101), 'a\0b', 'a\nb', '\ud800'];
export const missing = [undefined, null];
export const descriptions = [1, 'x'.repeat(501), 'a\0b', '\udfff'];

/** The options that every command takes. */
export const keyed = (input: object, ...before: readonly unknown[]): readonly MalformedCall[] => [
  ...within(input, 'idempotencyKey', ['', 7, 'x'.repeat(256), 'a\0'], ...before),
  ...within(input, 'signal', [{}, 1], ...before),
  { args: [...before, { ...input, unknown: 1 }], path: '' },
  { args: [...before, null], path: '' },
  { args: [...before, [input]], path: '' },
];
/** The options of a command on something that has a version. */
export const versioned = (input: object, ...before: readonly unknown[]): readonly MalformedCall[] => [
  ...keyed(input, ...before),
  ...within(input, 'expectedVersion', [0, 1.5, '1', null], ...before),
];
/** The options of a command that has no version to expect. */
export const made = (input: object, ...before: readonly unknown[]): readonly MalformedCall[] => [
  ...keyed(input, ...before),
  { args: [...before, { ...input, expectedVersion: 1 }], path: '' },
  { args: before, path: '' },
];
const cursor = (list: string, position: unknown) => Buffer.from(JSON.stringify([list, position])).toString('base64url');
/** Which page of a list; `wrongPositions` are in cursors that were not made by it. */
export const pages = (
  input: object,
  list: string,
  wrongPositions: readonly unknown[],
  ...before: readonly unknown[]
) => [
  ...within(input, 'limit', [0, -1, 101, 1.5, '10', null], ...before),
  ...within(input, 'cursor', [1, '', 'x', 'A'.repeat(5_000)], ...before),
  ...within(
    input,
    'cursor',
    wrongPositions.map((position) => cursor(list, position)),
    ...before,
  ),
  { args: [...before, { ...input, unknown: 1 }], path: '' },
  { args: [...before, null], path: '' },
];
