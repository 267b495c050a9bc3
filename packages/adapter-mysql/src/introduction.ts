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
}

const known = new WeakMap<object, Facts>();

/** What is relied on: a pool's connections have to commit by themselves; a connection of the host's may leave that to the host. */
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
  return facts.flavour;
}

async function ask(line: Line): Promise<Facts> {
  const { rows } = await line.query(
    `SELECT VERSION() AS version, @@character_set_client AS sent, @@character_set_connection AS worked_in,
    @@character_set_results AS received, @@sql_mode AS modes, @@autocommit AS autocommit`,
  );
  const row = rows[0]!;
  const version = String(row['version']);
  const flavour: Flavour = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  refuseOld(flavour, version);
  refuseCharset(row['sent'], row['worked_in'], row['received'] ?? 'utf8mb4');
  refuseModes(String(row['modes']));
  return { flavour, autocommit: Number(row['autocommit']) === 1 };
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

function refuseCharset(...charsets: readonly unknown[]): void {
  const other = charsets.map(String).find((charset) => charset !== 'utf8mb4');
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
