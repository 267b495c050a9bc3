/** The one place where what pg, PGlite and the server report becomes ours. */
import { StorageFailure } from '@vivarium/core/storage';
import type { Ran } from '@vivarium/sql';

import { stepIn } from './plan-statement.ts';

/** What was under way when it failed. `connect`: nothing had been sent. `transaction`: within the host's own. */
export type Doing = 'connect' | 'read' | 'write' | 'transaction';

/** What is read of an error: pg's and PGlite's carry the server's fields, connection errors of Node carry a word as code. */
interface Reported {
  readonly message: string;
  readonly code: string | null;
  readonly severity: string | null;
  readonly constraint: string | null;
  readonly syscall: string | null;
}

/** How a try of a plan ended, when it ended in an error that is no failure. */
export function ranInto(thrown: unknown, doing: Doing): Ran | null {
  const { code, constraint, message } = reported(thrown);
  switch (code) {
    case '22P02': {
      const step = stepIn(message);
      return step === null ? null : { as: 'stopped', step };
    }
    case '23505':
    case '23503':
      return constraint === null ? null : { as: 'violated', constraint };
    case '40001':
    case '40P01':
      return { as: 'conflict', failure: toFailure(thrown, doing) };
    default:
      return null;
  }
}

export function toFailure(thrown: unknown, doing: Doing): StorageFailure {
  if (thrown instanceof StorageFailure) return thrown;
  // A mistake of this package, or of a driver: not the connection's fault, and no reason to try again.
  if (thrown instanceof TypeError || thrown instanceof RangeError) return unforeseen(thrown, doing);
  const error = reported(thrown);
  const { message, retryable, sent } = sqlState(error) ?? connectionError(error);
  // A transaction lives as long as its connection, and ends with its first error.
  const lost = doing === 'transaction' && (!connectionSurvives(thrown) || error.code === '25P02');
  return new StorageFailure(lost ? `${message}; the transaction is lost` : message, {
    retryable,
    // Inside a transaction that never commits, nothing was written. A read writes nothing in any case.
    outcome: doing === 'write' && sent === 'unknown' ? 'unknown' : 'none',
    transaction: lost ? 'lost' : null,
    cause: cleaned(error),
  });
}

function unforeseen(thrown: Error, doing: Doing): StorageFailure {
  return new StorageFailure('the PostgreSQL storage failed in a way that it does not know', {
    retryable: false,
    outcome: doing === 'write' ? 'unknown' : 'none',
    cause: thrown,
  });
}

/** Whether the connection can be used again: the server has answered, and did not say goodbye. */
export function connectionSurvives(thrown: unknown): boolean {
  if (thrown instanceof StorageFailure) return true;
  const { code, severity } = reported(thrown);
  return code !== null && isSqlState(code) && severity !== 'FATAL' && severity !== 'PANIC';
}

interface Explained {
  readonly message: string;
  readonly retryable: boolean;
  /** Whether a write may have been done: the server's own answer says that it was not. */
  readonly sent: 'none' | 'unknown';
}

/** What the server answered, by its SQLSTATE. Whatever it refuses, it has undone. */
function sqlState({ code, message }: Reported): Explained | null {
  if (code === null || !isSqlState(code)) return null;
  const answered = (text: string, retryable: boolean): Explained => ({ message: text, retryable, sent: 'none' });
  switch (code) {
    case '42P01':
    case '42703':
    case '3F000':
      return answered(`the tables are missing, or older than this version: run storage.migrate() (${message})`, false);
    case '42501':
      return answered(`the database user may not do this (${message})`, false);
    case '40001':
      return answered('PostgreSQL could not serialize this with what others do; try again, in a new transaction', true);
    case '40P01':
      return answered('PostgreSQL ended a deadlock with others; try again', true);
    case '55P03':
      return answered('the lock timeout passed while others held the row', true);
    case '57014':
      return answered('the statement was canceled, or took longer than the statement timeout', true);
    case '25P02':
      return answered('an earlier error has ended this transaction: roll it back', false);
    case '25P01':
      return answered('within() was given a connection that is not in a transaction', false);
    case '25006':
      return answered('the database is read-only: a standby, or a read-only transaction', false);
    case '26000':
    case '42P05':
      return answered(
        'prepared statements got lost between the pool and the server: construct with { prepare: false }',
        false,
      );
    case '57P03':
      return answered('PostgreSQL is starting up or shutting down', true);
    case '53300':
      return answered('PostgreSQL has no connection left', true);
    case '28000':
    case '28P01':
      return answered('PostgreSQL refused the user or its password', false);
    case '3D000':
      return answered(`the database does not exist (${message})`, false);
  }
  // The server ended the connection. It may have been about to say that the write is done.
  if (code.startsWith('57P') || code.startsWith('08')) {
    return { message: 'PostgreSQL ended the connection', retryable: true, sent: 'unknown' };
  }
  const resources = code.startsWith('53') || code.startsWith('58');
  return answered(`PostgreSQL refused the statement with ${code}`, resources);
}

/** SQLSTATEs have five characters, as EPIPE has. */
function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code);
}

/** What happened to the connection, by the words of Node and pg. Where nothing could be sent, nothing was. */
function connectionError({ code, message, syscall }: Reported): Explained {
  const lost = (text: string, sent: 'none' | 'unknown'): Explained => ({ message: text, retryable: true, sent });
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || syscall === 'connect') {
    return lost('PostgreSQL cannot be reached', 'none');
  }
  if (/timeout exceeded when trying to connect|connection timeout|timeout expired/i.test(message)) {
    return lost('no connection to PostgreSQL was free, or could be made, in time', 'none');
  }
  if (
    /after calling end on the pool|Client was closed|Client has (already )?been (closed|released)|PGlite is clos/i.test(
      message,
    )
  ) {
    return { message: 'the connection to PostgreSQL is closed', retryable: false, sent: 'none' };
  }
  if (/not queryable|Cannot use a (client|pool)/i.test(message))
    return lost('the connection to PostgreSQL was lost', 'none');
  if (/read timeout/i.test(message)) return lost('PostgreSQL did not answer within the query timeout', 'unknown');
  return lost('the connection to PostgreSQL was lost', 'unknown');
}

/**
 * What may be shown to whoever reads a log. The server's detail holds the failing row, its context the statement, and in the classes of data
 * (22), constraints (23) and raised errors (P0) even the message quotes values.
 */
function cleaned({ message, code, severity, constraint }: Reported): Error {
  const quotesValues = code !== null && /^(22|23|P0)/.test(code);
  const cause = new Error(quotesValues || message === '' ? `SQLSTATE ${code}` : message);
  cause.name = 'PostgresError';
  return Object.assign(cause, {
    ...(code !== null && { code }),
    ...(severity !== null && { severity }),
    ...(constraint !== null && { constraint }),
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
  return {
    message: word('message') ?? String(thrown),
    code: word('code'),
    severity: word('severity'),
    constraint: word('constraint'),
    syscall: word('syscall'),
  };
}
