import { createHash } from 'node:crypto';

import { StorageFailure } from '@vivarium/core/storage';
import type { MigrationReport, StorageStatus } from '@vivarium/core/storage';
import { standing } from '@vivarium/sql';
import type { Migration, Recorded } from '@vivarium/sql';

import type { Line } from './connection.ts';
import { tableName } from './dialect.ts';
import type { Flavour } from './dialect.ts';
import { isMissingTable, toFailure } from './failure.ts';
import { inlined } from './literal.ts';
import type { Lend } from './pool.ts';
import { migrations, preparation } from './schema.ts';

/** How long a migrator waits for another one to be done. */
const patienceSeconds = 120;

/** Creates and upgrades the tables of one prefix. */
export class Migrator {
  readonly #prefix: string;
  readonly #lend: Lend;

  constructor(prefix: string, lend: Lend) {
    this.#prefix = prefix;
    this.#lend = lend;
  }

  async migrate(): Promise<MigrationReport> {
    return this.#lend(async ({ line, flavour }) => {
      try {
        const lock = await this.#lock(line);
        const report = await this.#apply(line, flavour);
        await line.query(inlined('DO RELEASE_LOCK(?)', [lock]));
        return report;
      } catch (thrown) {
        // A connection that has failed is closed, and its lock is gone with it.
        throw toFailure(thrown, 'write');
      }
    });
  }

  async status(): Promise<StorageStatus> {
    return this.#lend(async ({ line, flavour }) => {
      try {
        return standing(migrations(this.#prefix, flavour), await this.#recorded(line));
      } catch (thrown) {
        throw toFailure(thrown, 'read');
      }
    });
  }

  /** What `migrate` does, for somebody to run by hand; running it again does nothing. */
  sql(flavour: Flavour): string {
    const parts = migrations(this.#prefix, flavour).flatMap((migration) => [
      ...migration.statements,
      inlined(this.#recording(), [migration.name, Number(migration.breaking)]),
    ]);
    return [preparation(this.#prefix, flavour), ...parts].map((part) => `${part};\n`).join('\n');
  }

  /**
   * A lock of the session, because DDL ends every transaction. Where connections are not what they seem (a proxy, a cluster) it may not
   * keep others away; then each statement is still safe to repeat.
   */
  async #lock(line: Line): Promise<string> {
    const { rows: here } = await line.query('SELECT DATABASE() AS name');
    const place = `${String(here[0]!['name'])}\n${this.#prefix}`;
    // The names of locks are shared by all databases of a server, and short.
    const name = `vivarium:${createHash('sha256').update(place).digest('hex').slice(0, 40)}`;
    const { rows } = await line.query(inlined('SELECT GET_LOCK(?, ?) AS got', [name, patienceSeconds]));
    if (Number(rows[0]!['got']) === 1) return name;
    throw new StorageFailure(`another migration has been running for ${patienceSeconds} seconds`, {
      retryable: true,
      outcome: 'none',
    });
  }

  async #apply(line: Line, flavour: Flavour): Promise<MigrationReport> {
    const known = migrations(this.#prefix, flavour);
    await line.query(preparation(this.#prefix, flavour));
    const { pending, unknown, ready } = standing(known, await this.#recorded(line));
    if (!ready && pending.length === 0) throw tooNew(unknown);

    for (const migration of known.filter(({ name }) => pending.includes(name))) {
      for (const statement of migration.statements) await line.query(statement);
      await this.#record(line, migration);
    }
    return { applied: pending };
  }

  async #recorded(line: Line): Promise<readonly Recorded[]> {
    try {
      const table = tableName(this.#prefix, 'migrations');
      const { rows } = await line.query(`SELECT name, CAST(breaking AS CHAR) AS breaking FROM ${table} ORDER BY name`);
      return rows.map((row) => ({ name: row['name'] as string, breaking: row['breaking'] === '1' }));
    } catch (thrown) {
      if (isMissingTable(thrown)) return [];
      throw thrown;
    }
  }

  async #record(line: Line, { name, breaking }: Migration): Promise<void> {
    await line.query(inlined(this.#recording(), [name, Number(breaking)]));
  }

  /** Recorded twice is recorded: only the name's key can be in the way. */
  #recording(): string {
    const table = tableName(this.#prefix, 'migrations');
    return `INSERT INTO ${table} (name, breaking, applied_at) VALUES (?, ?, UTC_TIMESTAMP(3)) ON DUPLICATE KEY UPDATE name = name`;
  }
}

function tooNew(unknown: readonly string[]): StorageFailure {
  return new StorageFailure(
    `a newer version of this library has changed the tables so that this one cannot work with them (${unknown.join(', ')})`,
    { retryable: false, outcome: 'none' },
  );
}
