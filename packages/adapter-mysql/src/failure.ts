/** The one place where what mysql2 and the servers report becomes ours. By numbers only: mysql2 gives MariaDB's numbers MySQL's names. */
import { StorageFailure } from '@vivarium/core/storage';
import type { Ran, Table } from '@vivarium/sql';

import { constraintOf, primaryKeys } from './dialect.ts';

/**
 * What was under way when it failed.
 *
 * - `connect`: nothing had been sent.
 * - `read`, `step`: nothing that would last without a commit that was not yet asked for.
 * - `write`: something that commits.
 * - `transaction`: within the host's own.
 */
export type Doing = 'connect' | 'read' | 'step' | 'write' | 'transaction';

/** What is read of an error. `errno` only where a server has answered: Node numbers its own errors, below zero. */
interface Reported {
  readonly message: string;
  readonly code: string | null;
  readonly errno: number | null;
  readonly sqlState: string | null;
  readonly syscall: string | null;
}

export const duplicateEntry = 1062;
const childMissing = [1452, 1216];
const parentNeeded = [1451, 1217];
const checkFailed = [3819, 4025];

const lockTimeout = 1205;
const deadlock = 1213;
/** MariaDB, with `innodb_snapshot_isolation`: the row has changed since the transaction first looked. */
const rowChanged = 1020;

/** What a savepoint that is not there is reported as: the transaction that had it is gone. */
const noSavepoint = 1305;

export function isConflict(thrown: unknown): boolean {
  const { errno } = reported(thrown);
  return errno === lockTimeout || errno === deadlock || errno === rowChanged;
}

/** These two end the whole transaction; of a lock timeout, only the statement fails, unless the server is set otherwise. */
export function endsTransaction(thrown: unknown): boolean {
  const { errno } = reported(thrown);
  return errno === deadlock || errno === rowChanged;
}

export function isMissingSavepoint(thrown: unknown): boolean {
  return reported(thrown).errno === noSavepoint;
}

export function isMissingTable(thrown: unknown): boolean {
  return reported(thrown).errno === 1146;
}

export function errnoOf(thrown: unknown): number | null {
  return reported(thrown).errno;
}

export function messageOf(thrown: unknown): string {
  return reported(thrown).message;
}

/**
 * How a try of a plan ended, when it ended in an error that is no failure. `table` is the one that the failed statement writes, as far as
 * that is known: MariaDB names every primary key PRIMARY. Names of other constraints are quoted as the session's sql_mode has it.
 */
export function ranInto(thrown: unknown, prefix: string, table: Table | null, doing: Doing): Ran | null {
  if (isConflict(thrown)) return { as: 'conflict', failure: toFailure(thrown, doing) };
  const { errno, message } = reported(thrown);
  if (errno === null) return null;
  const name =
    errno === duplicateEntry
      ? duplicateKey(message, prefix, table)
      : [...childMissing, ...parentNeeded].includes(errno)
        ? /CONSTRAINT [`"]([^`"]+)/.exec(message)?.[1]
        : checkFailed.includes(errno)
          ? /['`"]([^'`"]+)/.exec(message)?.[1]
          : undefined;
  return name === undefined ? null : { as: 'violated', constraint: constraintOf(prefix, name) };
}

/** The last thing in quotes is the key, in every language of the server; what comes before it is the entry, which may hold quotes, too. */
function duplicateKey(message: string, prefix: string, table: Table | null): string | undefined {
  const quoted = /'([^']+)'[^']*$/.exec(message)?.[1];
  if (quoted === undefined) return undefined;
  const [key, owner] = quoted.split('.').reverse() as [string, string | undefined];
  if (key !== 'PRIMARY') return key;
  const named = owner?.startsWith(prefix) ? owner.slice(prefix.length) : table;
  return named === null || named === undefined ? key : (primaryKeys[named as Table] ?? key);
}

export function toFailure(thrown: unknown, doing: Doing, fate: { readonly lost?: boolean } = {}): StorageFailure {
  if (thrown instanceof StorageFailure) return thrown;
  const error = reported(thrown);
  const { message, retryable, sent } = serverError(error) ?? connectionError(error);
  const unanswered = error.errno === null || sent === 'unknown';
  const lost = doing === 'transaction' && (fate.lost === true || unanswered || endsTransaction(thrown));
  return new StorageFailure(lost ? `${message}; the transaction is lost` : message, {
    retryable,
    // What was not committed was not written. A read writes nothing in any case.
    outcome: doing === 'write' && sent === 'unknown' ? 'unknown' : 'none',
    transaction: lost ? 'lost' : null,
    cause: cleaned(error),
  });
}

interface Explained {
  readonly message: string;
  readonly retryable: boolean;
  /** Whether a write may have been done: the server's own answer says that it was not. */
  readonly sent: 'none' | 'unknown';
}

/** What the server answered. Whatever it refuses, it has not done. */
function serverError({ errno, message }: Reported): Explained | null {
  const answered = (text: string, retryable: boolean): Explained => ({ message: text, retryable, sent: 'none' });
  switch (errno) {
    case null:
      return null;
    case 1146:
    case 1054:
      return answered(`the tables are missing, or older than this version: run storage.migrate() (${message})`, false);
    case 1044:
    case 1142:
    case 1143:
    case 1227:
    case 1370:
      return answered(`the database user may not do this (${message})`, false);
    case 1045:
    case 1698:
      return answered('the server refused the user or its password', false);
    case 1049:
    case 1046:
      return answered(`the database does not exist, or none was named (${message})`, false);
    case deadlock:
      return answered('the server ended a deadlock with others; try again', true);
    case lockTimeout:
      return answered('the lock timeout passed while others held the row; try again', true);
    case rowChanged:
      return answered('others changed the row after this transaction first read; try again, in a new one', true);
    case 1040:
    case 1203:
    case 1226:
      return answered('the server has no connection left', true);
    case 1153:
      return answered('the statement is larger than max_allowed_packet of the server', false);
    case 1290:
    case 1792:
    case 1836:
      return answered('the database is read-only: a replica, or a read-only transaction', false);
    case 1317:
    case 1969:
    case 3024:
      return answered('the statement was killed, or took longer than it may', true);
    case 1273:
    case 1115:
      return answered('the server is too old: it has to be MySQL 8.0.19, MariaDB 10.6.2 or newer', false);
    // The server gave the connection up before it read what was sent.
    case 4031:
      return answered('the server had closed the connection, which was idle for too long', true);
    // The server ended the connection. It may have been about to say that the write is done.
    case 1053:
    case 1077:
    case 1079:
    case 1927:
      return { message: 'the server ended the connection', retryable: true, sent: 'unknown' };
    default:
      return answered(`the server refused the statement with error ${errno}`, false);
  }
}

/** What happened to the connection, by the words of Node and mysql2. Where nothing could be sent, nothing was. */
function connectionError({ code, message, syscall }: Reported): Explained {
  const lost = (text: string, sent: 'none' | 'unknown'): Explained => ({ message: text, retryable: true, sent });
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || syscall === 'connect') {
    return lost('the server cannot be reached', 'none');
  }
  if (/Pool is closed/.test(message)) {
    return { message: 'the pool of connections is closed', retryable: false, sent: 'none' };
  }
  if (/No connections available|Queue limit reached/.test(message)) {
    return lost('no connection of the pool is free', 'none');
  }
  if (/connection is in closed state/.test(message)) return lost('the connection to the server was lost', 'none');
  return lost('the connection to the server was lost', 'unknown');
}

/** Errors whose message holds nothing but names: of tables, columns, users, databases. Those of others quote values, or the statement. */
const namesOnly = new Set([
  1040, 1044, 1045, 1046, 1049, 1054, 1142, 1143, 1146, 1153, 1203, 1205, 1213, 1227, 1290, 1305, 1317, 1969, 3024,
]);

/** What may be shown to whoever reads a log. mysql2's own error carries the whole statement. */
function cleaned({ message, code, errno, sqlState }: Reported): Error {
  const shown = errno === null || namesOnly.has(errno) ? message : `error ${errno}`;
  const cause = new Error(shown);
  cause.name = 'MysqlError';
  return Object.assign(cause, {
    // A name for a number of another server would mislead.
    ...(code !== null && errno === null && { code }),
    ...(errno !== null && { errno }),
    ...(sqlState !== null && { sqlState }),
  });
}

function reported(thrown: unknown): Reported {
  const fields = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as Record<string, unknown>;
  // Node reports a host with several addresses as a bundle of one error for each.
  const first = Array.isArray(fields['errors'])
    ? (fields['errors'][0] as Record<string, unknown> | undefined)
    : undefined;
  const word = (name: string) => {
    const value = fields[name] ?? first?.[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const { errno } = fields;
  return {
    message: word('sqlMessage') ?? word('message') ?? String(thrown),
    code: word('code'),
    errno: typeof errno === 'number' && errno > 0 ? errno : null,
    sqlState: word('sqlState'),
    syscall: word('syscall'),
  };
}
