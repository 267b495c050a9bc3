import { createHash } from 'node:crypto';

import type { Dialect } from './dialect.ts';
import type { Value } from './plan.ts';
import type { ColumnType } from './tables.ts';

/** A statement of which nothing changes but its values. Made once for each storage, so that the server prepares it once for each connection. */
export interface Statement {
  /** Which method sends it: `environments.get`. */
  readonly name: string;
  /** Differs between any two texts, also those of other schemas and versions. At most 63 bytes, as PostgreSQL names may have. */
  readonly id: string;
  readonly text: string;
  /** In the order of binding. */
  readonly parameters: readonly Parameter[];
  /** What is at stake when the connection is lost on the way. */
  readonly effect: 'reads' | 'writes';
}

export interface Parameter {
  readonly name: string;
  readonly type: ColumnType;
}

export type Arguments = Readonly<Record<string, Value>>;

/** `:name::type`, in the manner of PostgreSQL; engines that need no cast leave it out. */
const parameter = /(?<![:\w]):([a-z]\w*)::(uuid|text|integer|bigint|boolean|time|json)\b/gi;

export function compile(
  dialect: Dialect,
  name: string,
  source: string,
  effect: Statement['effect'] = 'reads',
): Statement {
  const parameters: Parameter[] = [];
  const text = source
    .replace(/\s+/g, ' ')
    .trim()
    .replace(parameter, (_token, named: string, type: ColumnType) => {
      const known = dialect.positional ? parameters.findIndex((one) => one.name === named && one.type === type) : -1;
      const position = known === -1 ? parameters.push({ name: named, type }) : known + 1;
      return dialect.placeholder(position, type);
    });
  return statement(name, text, parameters, effect);
}

export function statement(
  name: string,
  text: string,
  parameters: readonly Parameter[],
  effect: Statement['effect'],
): Statement {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return { name, id: `${`vivarium_${name}`.slice(0, 46)}_${hash}`, text, parameters, effect };
}

/** The values of a statement's parameters, as the driver takes them. */
export function bindings(dialect: Dialect, { name, parameters }: Statement, given: Arguments): unknown[] {
  return parameters.map((parameter) => {
    const value = given[parameter.name];
    if (value === undefined) throw new TypeError(`${name} was called without ${parameter.name}`);
    return value === null ? null : dialect.bind(parameter.type, value);
  });
}
