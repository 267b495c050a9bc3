/** What a host is told when the database does not do its work, and what it is never told. */
import { PGlite } from '@electric-sql/pglite';
import type { StorageFailure } from '@vivarium/core/storage';
import type { ResultAsync } from '@vivarium/core/storage';
import { startCountingProxy } from '@vivarium/engines';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { postgresStorage } from '../src/index.ts';
import type { PostgresStorage } from '../src/index.ts';
import { database, everyEngine, servers } from './databases.ts';
import type { Database } from './databases.ts';
import { change, changed, environment, given, key, refOf, unwrap } from './making.ts';

const org = 'failures';
const failureOf = async (result: ResultAsync<unknown, StorageFailure>) => (await result)._unsafeUnwrapErr();
const nobody = { projectId: randomUUID(), id: randomUUID() };

/** A write that is refused by nothing but the database. */
const write = (storage: PostgresStorage, projectId: string, used: ReturnType<typeof key> | null = null) =>
  storage.environments.create({
    environment: environment(projectId, `E ${randomUUID()}`),
    maximum: 100,
    change: change(org, {}, used),
  });

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] failures`, () => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine);
    });
    afterAll(() => db.close());

    test('missing tables name what makes them', async () => {
      const storage = postgresStorage(db.connection, { schema: 'nowhere' });
      for (const result of [storage.environments.get(org, nobody), write(storage, nobody.projectId)]) {
        const failure = await failureOf(result);
        expect(failure.message).toContain('run storage.migrate()');
        expect(failure).toMatchObject({
          code: 'storage_failure',
          retryable: false,
          outcome: 'none',
          transaction: null,
        });
      }
    });

    test('a closed connection fails every method, and throws nothing', async () => {
      const closed = await closedStorage(engine.url, 'pglite' in db.connection);
      for (const result of [
        closed.environments.get(org, nobody),
        write(closed, nobody.projectId),
        closed.migrate(),
        closed.status(),
      ]) {
        expect(await failureOf(result)).toMatchObject({
          message: 'the connection to PostgreSQL is closed',
          retryable: false,
          outcome: 'none',
        });
      }
    });

    test('nothing that was written is quoted', async () => {
      const { project, environments } = await given(db.storage, org, { environments: ['A'] });
      await db.query(`ALTER TABLE ${db.schema}.environments ADD CONSTRAINT hosts_own CHECK (variable_count < 3)`);
      const secret = 'correct-horse-battery-staple';
      const variables = ['A', 'B', 'C'].map((name) => ({ key: name, value: secret }));
      const after = changed(environments[0]!, { variables });
      const failure = await failureOf(
        db.storage.environments.setVariables({ environment: after, expectedVersion: 1, change: change(org) }),
      );
      await db.query(`ALTER TABLE ${db.schema}.environments DROP CONSTRAINT hosts_own`);

      expect(failure).toMatchObject({
        retryable: false,
        outcome: 'none',
        cause: { code: '23514', constraint: 'hosts_own' },
      });
      const everything = inspect(failure, { depth: null, showHidden: true }) + JSON.stringify(failure);
      for (const part of [secret, project.id, 'UPDATE', 'Failing row']) expect(everything).not.toContain(part);
    });

    test('a constraint of the host that looks like a refusal is none', async () => {
      const { environments } = await given(db.storage, org, { environments: ['A'] });
      await db.query(`CREATE UNIQUE INDEX hosts_unique ON ${db.schema}.environments (description)`);
      const [first, second] = [environments[0]!, (await given(db.storage, org)).environments[0]!];
      const describe = (one: typeof first) =>
        db.storage.environments.update({
          environment: changed(one, { description: 'the same' }),
          previousNameKey: one.nameKey,
          expectedVersion: 1,
          change: change(org),
        });
      expect(await unwrap(describe(first))).toEqual({ done: true });
      expect((await failureOf(describe(second))).message).toContain('hosts_unique');
      await db.query(`DROP INDEX ${db.schema}.hosts_unique`);
    });

    test('variables that another tool has broken name their environment, and no value', async () => {
      const { project, environments } = await given(db.storage, org, { environments: ['A', 'B'] });
      const broken = environments[1]!;
      await db.query(`UPDATE ${db.schema}.environments SET variables = '{"KEY":"hidden"}' WHERE id = $1`, [broken.id]);
      const failure = await failureOf(db.storage.environments.get(org, refOf(broken)));
      expect(failure.message).toContain(broken.id);
      expect(inspect(failure, { depth: null })).not.toContain('hidden');
      expect(
        (await unwrap(db.storage.environments.list(org, project.id, { limit: 9, after: null })))!.items,
      ).toHaveLength(2);
      expect(
        await unwrap(
          db.storage.environments.search(org, project.id, { variableKey: 'KEY' }, { limit: 9, after: null }),
        ),
      ).toEqual({ items: [], more: false });
    });
  });
});

async function closedStorage(url: string, embedded: boolean): Promise<PostgresStorage> {
  if (embedded) {
    const pglite = new PGlite();
    await pglite.waitReady;
    await pglite.close();
    return postgresStorage({ pglite });
  }
  const pool = new pg.Pool({ connectionString: url });
  await pool.end();
  return postgresStorage({ pool });
}

await describeOnEngines(servers, (engine) => {
  describe(`[${engine.name}] connections`, () => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine);
    });
    afterAll(() => db.close());

    /** A storage over a pool of its own, which is ended when the work is done. */
    async function over<T>(
      config: pg.PoolConfig,
      work: (storage: PostgresStorage, pool: pg.Pool) => Promise<T>,
    ): Promise<T> {
      const pool = new pg.Pool({ connectionString: engine.url, ...config });
      pool.on('error', () => undefined);
      try {
        return await work(postgresStorage({ pool }, { schema: db.schema }), pool);
      } finally {
        await pool.end();
      }
    }

    test('a server that cannot be reached leaves no doubt: nothing was written', async () => {
      const storage = postgresStorage({ connectionString: 'postgres://nobody@127.0.0.1:1/nothing' });
      for (const result of [storage.environments.get(org, nobody), write(storage, nobody.projectId)]) {
        expect(await failureOf(result)).toMatchObject({
          message: 'PostgreSQL cannot be reached',
          retryable: true,
          outcome: 'none',
        });
      }
      await unwrap(storage.close());
    });

    test('an answer that is lost leaves a write unknown and a read undone; the key finds out', async () => {
      const { project } = await given(db.storage, org);
      const proxy = await startCountingProxy(engine.url);
      await over({ connectionString: proxy.url, max: 1 }, async (storage) => {
        await unwrap(storage.environments.stats(org, project.id));
        const used = key(randomUUID());
        proxy.swallowNextAnswer();
        const lost = await failureOf(write(storage, project.id, used));
        expect(lost).toMatchObject({ code: 'storage_failure', retryable: true, outcome: 'unknown', transaction: null });
        expect(await unwrap(write(storage, project.id, used))).toMatchObject({ refused: 'key_taken' });

        proxy.swallowNextAnswer();
        expect(await failureOf(storage.environments.get(org, nobody))).toMatchObject({
          retryable: true,
          outcome: 'none',
        });
        // The pool has a new connection for the next.
        expect((await unwrap(storage.environments.stats(org, project.id)))?.environments).toBe(2);
      });
      await proxy.stop();
    });

    test('a backend that is ended in the middle of a write leaves it unknown', async () => {
      const { project } = await given(db.storage, org);
      await blocked(project.id, async () => {
        await over({ application_name: 'victim' }, async (storage) => {
          const writing = failureOf(write(storage, project.id));
          await waiting('victim');
          await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'`);
          expect(await writing).toMatchObject({ retryable: true, outcome: 'unknown' });
        });
      });
      expect((await unwrap(db.storage.environments.stats(org, project.id)))?.environments).toBe(1);
    });

    test('a timeout of the statement or of the lock has undone the write', async () => {
      const { project } = await given(db.storage, org);
      await blocked(project.id, async () => {
        for (const config of [{ statement_timeout: 50 }, { lock_timeout: 50 }]) {
          await over(config, async (storage) => {
            const failure = await failureOf(write(storage, project.id));
            expect(failure.message).toContain('timeout');
            expect(failure).toMatchObject({ retryable: true, outcome: 'none' });
          });
        }
      });
    });

    test('isolation levels of the host are conflicts, and are tried again', async () => {
      for (const level of ['repeatable read', 'serializable']) {
        const { project } = await given(db.storage, org);
        const options = `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`;
        await over({ max: 8, options }, async (storage) => {
          const answers = await Promise.all(Array.from({ length: 8 }, () => unwrap(write(storage, project.id))));
          expect(answers.every(({ done }) => done)).toBe(true);
        });
        expect((await unwrap(db.storage.environments.stats(org, project.id)))?.environments).toBe(9);
      }
    });

    test('parsers, time zone and date style of the host change nothing', async () => {
      const variables = [{ key: 'K', value: '2026-01-01' }];
      const { project, environments } = await given(db.storage, org, { environments: ['A'] });
      const after = changed(environments[0]!, { variables });
      await unwrap(
        db.storage.environments.setVariables({ environment: after, expectedVersion: 1, change: change(org) }),
      );
      const plain = await unwrap(db.storage.environments.get(org, refOf(after)));
      const stats = await unwrap(db.storage.environments.stats(org, project.id));

      const text = new Set([25, 1043, 2950]);
      const types = {
        getTypeParser: (oid: number) => (value: string) =>
          text.has(oid) ? value : oid === 23 ? BigInt(value) : { odd: value },
      };
      const options = '-c TimeZone=America/New_York -c DateStyle=SQL,DMY -c IntervalStyle=sql_standard';
      await over({ options, types }, async (storage) => {
        expect(await unwrap(storage.environments.get(org, refOf(after)))).toEqual(plain);
        expect(await unwrap(storage.environments.stats(org, project.id))).toEqual(stats);
        expect(await unwrap(write(storage, project.id))).toEqual({ done: true });
        const entry = (await unwrap(storage.journal.list(org, {}, { limit: 1, after: null }))).items[0]!;
        expect((await unwrap(db.storage.journal.list(org, {}, { limit: 1, after: null }))).items[0]).toEqual(entry);
      });
    });

    test('each kind of statement is prepared once, under a name that says which, unless told otherwise', async () => {
      const { project } = await given(db.storage, org);
      const namesAfter = async (prepare: boolean) => {
        const pool = new pg.Pool({ connectionString: engine.url, max: 1 });
        // Two storages, as two modules of one host may make them.
        for (const storage of [1, 2].map(() => postgresStorage({ pool }, { schema: db.schema, prepare }))) {
          expect(await unwrap(write(storage, project.id))).toEqual({ done: true });
          await unwrap(storage.environments.list(org, project.id, { limit: 1, after: null }));
        }
        const { rows } = await pool.query<{ name: string }>('SELECT name FROM pg_prepared_statements ORDER BY name');
        await pool.end();
        return rows.map(({ name }) => name.replace(/_[0-9a-f]{16}$/, ''));
      };
      expect(await namesAfter(true)).toEqual(['vivarium_environments.create', 'vivarium_environments.list']);
      expect(await namesAfter(false)).toEqual([]);
    });

    test('storages of several schemas share a pool', async () => {
      await over({ max: 1 }, async (storage, pool) => {
        const schema = `${db.schema}_b`;
        const other = postgresStorage({ pool }, { schema });
        await unwrap(other.migrate());
        const { project } = await given(storage, org, { name: 'Same name' });
        expect(await unwrap(other.projects.get(org, project.id))).toMatchObject({ found: null });
        await given(other, org, { name: 'Same name' });
        await pool.query(`DROP SCHEMA ${schema} CASCADE`);
      });
    });

    test('a storage of a URL opens a pool when it is used, and ends it', async () => {
      const storage = postgresStorage({ connectionString: engine.url }, { schema: db.schema });
      const { project } = await given(storage, org);
      expect((await unwrap(storage.projects.get(org, project.id))).found?.id).toBe(project.id);
      await unwrap(storage.close());
      expect(await failureOf(storage.projects.get(org, project.id))).toMatchObject({
        message: 'the storage is closed',
      });
      await unwrap(storage.close());
    });

    test('a pool of the host stays open', async () => {
      await unwrap(db.storage.close());
      expect((await unwrap(db.storage.projects.get(org, nobody.id))).found).toBe(null);
    });

    /** Works while somebody else holds the project's row. */
    async function blocked(projectId: string, work: () => Promise<void>): Promise<void> {
      const client = await (db.connection as { pool: pg.Pool }).pool.connect();
      try {
        await client.query('BEGIN');
        await client.query(`SELECT FROM ${db.schema}.projects WHERE id = $1 FOR UPDATE`, [projectId]);
        await work();
      } finally {
        await client.query('ROLLBACK');
        client.release();
      }
    }

    async function waiting(application: string): Promise<void> {
      for (let tries = 0; tries < 500; tries++) {
        const found = await db.query(
          `SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`,
          [application],
        );
        if (found.length > 0) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error(`${application} never waited for a lock`);
    }
  });
});

describe('construction', () => {
  const connectionString = 'postgres://user:hunter2@localhost/db';

  test.each<[string, string, unknown, unknown?]>([
    ['nothing', '', undefined],
    ['a connection that says nothing', '', {}],
    ['a URL by itself', '', connectionString],
    ['a pool that is none', 'pool', { pool: {} }],
    ['a PGlite that is none', 'pglite', { pglite: {} }],
    ['a URL of another database', 'connectionString', { connectionString: 'mysql://user:hunter2@localhost/db' }],
    ['a URL that is none', 'connectionString', { connectionString: 'user:hunter2' }],
    ['a URL that is no text', 'connectionString', { connectionString: new URL(connectionString) }],
    ['two ways to connect', '', { pool: { connect: () => undefined }, connectionString }],
    ['another way to connect', 'url', { url: connectionString }],
    ['an empty schema', 'schema', { connectionString }, { schema: '' }],
    ['a schema that is too long', 'schema', { connectionString }, { schema: 'x'.repeat(64) }],
    ['a schema with a NUL', 'schema', { connectionString }, { schema: 'a\0b' }],
    ['a schema that is no text', 'schema', { connectionString }, { schema: 7 }],
    ['an option that there is not', 'shema', { connectionString }, { shema: 'x' }],
    ['a prepare that is no yes or no', 'prepare', { connectionString }, { prepare: 'no' }],
    ['no options', '', { connectionString }, null],
  ])('of %s throws at once, says where, and shows no password', (_what, path, connection, options) => {
    const construct = () => postgresStorage(connection as never, options as never);
    expect(construct).toThrow(
      expect.objectContaining({ code: 'invalid_input', issues: [expect.objectContaining({ path })] }),
    );
    try {
      construct();
    } catch (thrown) {
      expect(inspect(thrown, { depth: 10, showHidden: true })).not.toContain('hunter2');
    }
  });
});
