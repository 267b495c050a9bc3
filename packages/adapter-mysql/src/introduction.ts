/**
 * What has to be known of a connection before it is worked with. Asked once for each connection, so that no call pays for it, and of each one,
 * because a pool's connections may be set differently.
 */
import { StorageFailure } from '@vivarium/core/storage';

import type { Line } from './connection.ts';
import type { Flavour } from './dialect.ts';

interface Facts {
  readonly flavour: Flavour;
  readonly autocommit: boolean;
  readonly isolation: string;
  readonly safeUpdates: boolean;
}

const known = new WeakMap<object, Facts>();

/** What is relied on: in a pool, each call is a transaction of its own; how a host's transaction is begun and isolated is the host's to say. */
export type Use = 'pool' | 'transaction';

/** Which server answers here. Rejects when the connection is set so that something would go wrong on it. */
export async function introduce(line: Line, use: Use): Promise<Flavour> {
  let facts = known.get(line.identity);
  if (facts === undefined) {
    facts = await ask(line);
    known.set(line.identity, facts);
  }
  if (use === 'pool' && !facts.autocommit) {
    throw refusal('has autocommit off, and what is read would never end: leave it on for the pool');
  }
  if (use === 'pool' && facts.isolation === 'READ-UNCOMMITTED') {
    throw refusal(
      'reads what others have not committed, and decisions would be made on it: use READ COMMITTED or higher',
    );
  }
  if (use === 'pool' && facts.safeUpdates) {
    throw refusal(
      'has sql_safe_updates on, and deletions would be refused at the whim of the optimizer: leave it off for the pool',
    );
  }
  return facts.flavour;
}

/** As variables by name: the one with the isolation level has two names, and asking for one that a server does not have is an error. */
async function ask(line: Line): Promise<Facts> {
  const { rows } = await line.query(
    `SHOW SESSION VARIABLES WHERE Variable_name IN ('version', 'character_set_client', 'character_set_connection',
    'character_set_results', 'sql_mode', 'autocommit', 'sql_safe_updates', 'tx_isolation', 'transaction_isolation')`,
  );
  const variables = new Map(rows.map((row) => [row['Variable_name'] as string, row['Value'] as string]));
  const variable = (name: string) => variables.get(name) ?? '';
  const version = variable('version');
  const flavour: Flavour = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  refuseOld(flavour, version);
  // No character set for results: each column comes in its own.
  const received = variable('character_set_results') || 'utf8mb4';
  refuseCharset(variable('character_set_client'), variable('character_set_connection'), received);
  refuseModes(variable('sql_mode'));
  return {
    flavour,
    autocommit: variable('autocommit') === 'ON',
    safeUpdates: variable('sql_safe_updates') === 'ON',
    isolation: variable('transaction_isolation') || variable('tx_isolation'),
  };
}

const oldest: Readonly<Record<Flavour, readonly [string, readonly number[]]>> = {
  // The first that names the table of a primary key that was run into.
  mysql: ['MySQL 8.0.19', [8, 0, 19]],
  // The first that prepares blocks of statements.
  mariadb: ['MariaDB 10.6.2', [10, 6, 2]],
};

function refuseOld(flavour: Flavour, version: string): void {
  // Old clients were told that MariaDB is a 5.5.5.
  const numbers = (/\d+\.\d+\.\d+/.exec(version.replace(/^5\.5\.5-/, '')) ?? [''])[0].split('.').map(Number);
  const [name, least] = oldest[flavour];
  const different = least.findIndex((number, index) => numbers[index] !== number);
  if (different !== -1 && (numbers[different] ?? 0) < least[different]!) {
    throw new StorageFailure(`this is ${version}, and it has to be ${name} or newer`, {
      retryable: false,
      outcome: 'none',
    });
  }
}

function refuseCharset(...charsets: readonly string[]): void {
  const other = charsets.find((charset) => charset !== 'utf8mb4');
  if (other === undefined) return;
  throw refusal(`uses the character set ${other}, and text would be lost: set charset to utf8mb4 for the pool`);
}

function refuseModes(modes: string): void {
  const wrong = modes.split(',').find((mode) => mode === 'ORACLE' || mode === 'EMPTY_STRING_IS_NULL');
  if (wrong === undefined) return;
  throw refusal(`has the sql_mode ${wrong}, in which statements mean something else: leave it out for the pool`);
}

function refusal(why: string): StorageFailure {
  return new StorageFailure(`this connection ${why}`, { retryable: false, outcome: 'none' });
}
