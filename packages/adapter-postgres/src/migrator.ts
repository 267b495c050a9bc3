import { StorageFailure } from '@vivarium/core/storage';
import type { MigrationReport, StorageStatus } from '@vivarium/core/storage';
import { standing } from '@vivarium/sql';
import type { Migration, Recorded } from '@vivarium/sql';

import type { Send } from './connection.ts';
import { quotedText } from './dialect.ts';
import { toFailure } from './failure.ts';
import { migrations, migrationsTable, preparation } from './schema.ts';

/** Runs work on one connection in one transaction: committed if it resolves, rolled back if it rejects. Rejects as the driver does. */
export type InTransaction = <T>(work: (send: Send) => Promise<T>) => Promise<T>;

/** The oldest major version that the tests run on. */
const oldestMajor = 15;

/**
 * Creates and upgrades the tables of one schema. The versions are compared here, not before each use: code that meets tables which it does not
 * know says so when its first statement fails, and saves everybody a round trip.
 */
export class Migrator {
  readonly #schema: string;
  readonly #migrations: readonly Migration[];

  constructor(schema: string) {
    this.#schema = schema;
    this.#migrations = migrations(schema);
  }

  async migrate(inTransaction: InTransaction): Promise<MigrationReport> {
    try {
      return await inTransaction(async (send) => {
        await requireVersion(send);
        // Held to the end of the transaction. A lock of the session would outlive a pooler's idea of one.
        await send(lock(this.#schema));
        for (const statement of preparation(this.#schema)) await send(statement);
        const { pending, unknown, ready } = standing(this.#migrations, await this.#recorded(send));
        if (!ready && pending.length === 0) throw tooNew(unknown);

        for (const migration of this.#migrations.filter(({ name }) => pending.includes(name))) {
          for (const statement of migration.statements) await send(statement);
          await send(record(this.#schema, migration));
        }
        return { applied: pending };
      });
    } catch (thrown) {
      throw toFailure(thrown, 'write');
    }
  }

  async status(send: Send): Promise<StorageStatus> {
    try {
      await requireVersion(send);
      return standing(this.#migrations, await this.#recorded(send));
    } catch (thrown) {
      if (nothingThere(thrown)) return standing(this.#migrations, []);
      throw toFailure(thrown, 'read');
    }
  }

  /** What `migrate` does, for somebody to run by hand; migrations that were run are passed over. */
  sql(): string {
    const schema = this.#schema;
    const blocks = this.#migrations.map(
      (migration) => `DO $vivarium$ BEGIN
IF NOT EXISTS (SELECT FROM ${migrationsTable(schema)} WHERE name = ${quotedText(migration.name)}) THEN

${[...migration.statements, record(schema, migration)].map((statement) => `${statement};`).join('\n\n')}

END IF;
END $vivarium$`,
    );
    return [`BEGIN`, lock(schema), ...preparation(schema), ...blocks, `COMMIT`].map((part) => `${part};\n`).join('\n');
  }

  async #recorded(send: Send): Promise<readonly Recorded[]> {
    const rows = await send(
      `SELECT name, breaking::text AS breaking FROM ${migrationsTable(this.#schema)} ORDER BY name`,
    );
    return rows.map((row) => ({ name: row['name'] as string, breaking: row['breaking'] === 'true' }));
  }
}

function record(schema: string, { name, breaking }: Migration): string {
  return `INSERT INTO ${migrationsTable(schema)} (name, breaking) VALUES (${quotedText(name)}, ${breaking})`;
}

function lock(schema: string): string {
  return `SELECT pg_advisory_xact_lock(hashtextextended(${quotedText(`vivarium:${schema}`)}, 0))`;
}

async function requireVersion(send: Send): Promise<void> {
  const [row] = await send(`SELECT current_setting('server_version_num') AS version`);
  const major = Math.floor(Number(row!['version']) / 10_000);
  if (major >= oldestMajor) return;
  throw new StorageFailure(`this is PostgreSQL ${major}, and it has to be ${oldestMajor} or newer`, {
    retryable: false,
    outcome: 'none',
  });
}

function tooNew(unknown: readonly string[]): StorageFailure {
  return new StorageFailure(
    `a newer version of this library has changed the tables so that this one cannot work with them (${unknown.join(', ')})`,
    { retryable: false, outcome: 'none' },
  );
}

function nothingThere(thrown: unknown): boolean {
  const { code } = thrown as { code?: unknown };
  return code === '42P01' || code === '3F000';
}
