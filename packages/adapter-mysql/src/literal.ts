/**
 * Values as text, for the connections on which values cannot be bound: those behind Kysely, and batches of statements.
 *
 * Nothing in a literal can end it: text with anything in it but what is plain everywhere is written in hexadecimal, so that no quote and no
 * backslash is ever escaped, and neither `NO_BACKSLASH_ESCAPES` nor `ANSI_QUOTES` changes what it says. The introducer says which
 * characters the bytes are.
 */
export function literal(value: unknown): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  // In the collation of the connection, as the literals in a statement are: an introducer brings another one, and two literals of
  // different collations cannot be compared.
  if (typeof value === 'string' && plain.test(value)) return `'${value}'`;
  if (typeof value === 'string') return `_utf8mb4 x'${Buffer.from(value, 'utf8').toString('hex')}'`;
  throw new TypeError(`a ${typeof value} cannot be written into a statement`);
}

const plain = /^[A-Za-z0-9 .:_-]*$/;

/** The statement with a literal for each `?`. Statements of this library have their `?` nowhere else. */
export function inlined(text: string, values: readonly unknown[]): string {
  const [first, ...rest] = text.split('?');
  if (rest.length !== values.length) throw new TypeError(`${rest.length} places for ${values.length} values`);
  return rest.reduce((written, part, index) => written + literal(values[index]) + part, first!);
}
