/** Writes inside the host's own transaction, in each form in which a host can have one. */
import type { ResultAsync, Storage, StorageFailure } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { CamelCasePlugin, Kysely, MysqlDialect, ParseJSONResultsPlugin, sql } from 'kysely';
import type { Transaction } from 'kysely';
import { createConnection, createPool as createCallbackPool } from 'mysql2';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MysqlTransaction } from '../src/index.ts';
import { database, everyEngine } from './databases.ts';
import type { Database } from './databases.ts';
import { changeIn, claimLane, newEnvironment, newKey, next, unwrap, writeProject } from './making.ts';

const org = 'within';
const page = { limit: 50, after: null };

/** A transaction of the host's: what to hand to `within`, and the host's own way to ask in it. */
interface Open {
  readonly given: MysqlTransaction;
  ask(text: string): Promise<unknown>;
}

/** Opens a transaction, works in it, and ends it as the work says. */
type Opening = (work: (open: Open) => Promise<'commit' | 'rollback'>) => Promise<void>;

class RolledBack extends Error {}

/** Plugins that rewrite what passes through them. */
const plugins = [new CamelCasePlugin(), new ParseJSONResultsPlugin()];

const forms: Readonly<Record<string, (db: Database) => Opening>> = {
  'a connection with promises': (db) => async (work) => {
    const given = await db.pool.getConnection();
    await given.beginTransaction();
    const ask = (text: string) => given.query(text);
    await ended(work({ given, ask }), ask).finally(() => given.destroy());
  },

  'a connection with callbacks': (db) => async (work) => {
    const given = createConnection({ uri: db.url, charset: 'utf8mb4' });
    const ask = (text: string) =>
      new Promise((resolve, reject) => {
        given.query(text, (error: unknown, rows: unknown) => (error ? reject(error as Error) : resolve(rows)));
      });
    await ask('START TRANSACTION');
    await ended(work({ given, ask }), ask).finally(() => given.destroy());
  },

  'a session without autocommit': (db) => async (work) => {
    const given = await db.pool.getConnection();
    const ask = (text: string) => given.query(text);
    await ask('SET autocommit = 0');
    await ended(work({ given, ask }), ask).finally(() => given.destroy());
  },

  'a transaction of Kysely': (db) => async (work) => {
    const kysely = overKysely(db);
    try {
      await kysely.transaction().execute(async (given: Transaction<Record<string, never>>) => {
        if ((await work({ given, ask: (text) => sql.raw(text).execute(given) })) === 'rollback') throw new RolledBack();
      });
    } catch (thrown) {
      if (!(thrown instanceof RolledBack)) throw thrown;
    } finally {
      await kysely.destroy();
    }
  },

  'a controlled transaction of Kysely': (db) => async (work) => {
    const kysely = overKysely(db);
    const given = await kysely.startTransaction().execute();
    const end = (text: string) => given[text as 'commit' | 'rollback']().execute();
    try {
      await ended(work({ given, ask: (text) => sql.raw(text).execute(given) }), end);
    } finally {
      await kysely.destroy();
    }
  },
};

/** Ends a transaction as the work in it said, and rolls it back when the work failed. */
async function ended(work: Promise<'commit' | 'rollback'>, end: (how: string) => Promise<unknown>): Promise<void> {
  let how: 'commit' | 'rollback' = 'rollback';
  try {
    how = await work;
  } finally {
    await end(how);
  }
}

/** Kysely writes values into the text, as a host would that has turned backslashes off. */
function overKysely(db: Database) {
  const pool = createCallbackPool({ uri: db.url, charset: 'utf8mb4', connectionLimit: 2 });
  pool.on('connection', (connection) => {
    connection.query(`SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES,ANSI_QUOTES')`);
  });
  return new Kysely<Record<string, never>>({ dialect: new MysqlDialect({ pool }), plugins });
}

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] within`, () => {
    let db: Database;
    let storage: Storage;
    beforeAll(async () => {
      db = await database(engine);
      storage = db.storage;
      await db.query('CREATE TABLE host (note VARCHAR(40) PRIMARY KEY, seen INT NOT NULL DEFAULT 0)');
    });
    afterAll(() => db.close());

    const inside = (open: Open) => db.storage.within(open.given);
    const notes = async () => (await db.query('SELECT note FROM host')).map((row) => row['note']);
    const noted = (text: string) => `INSERT INTO host (note) VALUES ('${text}')`;
    const create = (storageThere: Storage, projectId: string, name: string, maximum = 50) =>
      storageThere.environments.create({
        environment: newEnvironment(projectId, name),
        maximum,
        change: changeIn(org),
      });
    const namesIn = async (projectId: string) =>
      (await unwrap(storage.environments.list(org, projectId, page)))!.items.map(({ name }) => name);
    const countOf = async (projectId: string) =>
      (await db.query('SELECT environment_count FROM vivarium_projects WHERE id = ?', [projectId]))[0]![
        'environment_count'
      ];

    describe.each(Object.entries(forms))('%s', (form, formOf) => {
      const opened: Opening = (work) => formOf(db)(work);

      test('commits what the host did and what was written, together', async () => {
        const text = randomUUID();
        const variables = [{ key: 'API_BASE_URL', value: `["it's \\"', \\', \\\\', 😀 ?, :x"]` }];
        let projectId = '';
        await opened(async (open) => {
          await open.ask(noted(text));
          const { project } = await writeProject(inside(open), org, ['A', 'B']);
          projectId = project.id;
          const environment = { ...newEnvironment(projectId, 'C'), variables };
          const command = { environment, maximum: 9, change: changeIn(org) };
          expect(await unwrap(inside(open).environments.create(command))).toEqual({ done: true });
          const found = await unwrap(inside(open).environments.getByName(org, projectId, 'c'));
          expect(found).toMatchObject({ variables, createdAt: environment.createdAt });
          expect((await unwrap(storage.projects.get(org, projectId))).found).toBe(null);
          return 'commit';
        });
        expect(await notes()).toContain(text);
        expect(await namesIn(projectId)).toEqual(['A', 'B', 'C']);
      });

      test('rolls back what was written, with its journal and its key', async () => {
        const before = await rows();
        await opened(async (open) => {
          const { project } = await writeProject(inside(open), org, ['A']);
          const command = {
            environment: newEnvironment(project.id, 'B'),
            maximum: 9,
            change: changeIn(org, newKey()),
          };
          expect(await unwrap(inside(open).environments.create(command))).toEqual({ done: true });
          return 'rollback';
        });
        expect(await rows()).toEqual(before);
      });

      test('a refused write leaves the transaction as it was', async () => {
        const text = randomUUID();
        const { project, environments } = await writeProject(storage, org, ['A', 'B']);
        await opened(async (open) => {
          expect(await unwrap(create(inside(open), project.id, 'first'))).toEqual({ done: true });
          // Refused by a constraint, by the first guard, and by a later one.
          expect(await unwrap(create(inside(open), project.id, 'A'))).toMatchObject({ refused: 'name_taken' });
          expect(await unwrap(create(inside(open), project.id, 'D', 3))).toMatchObject({ refused: 'limit_reached' });
          const nobody = { ref: { projectId: project.id, id: randomUUID() }, change: changeIn(org) };
          expect(await unwrap(inside(open).environments.makeDefault(nobody))).toMatchObject({ refused: 'not_found' });
          expect(await unwrap(create(inside(open), project.id, 'second'))).toEqual({ done: true });
          await open.ask(noted(text));
          return 'commit';
        });
        expect(await notes()).toContain(text);
        expect(await namesIn(project.id)).toEqual(['A', 'B', 'first', 'second']);
        expect((await unwrap(storage.environments.getDefault(org, project.id)))?.id).toBe(environments[0]!.id);
        expect(await countOf(project.id)).toBe(4);
      });

      test('calls that are made at the same time come one after the other', async () => {
        const { project } = await writeProject(storage, org, ['A']);
        await opened(async (open) => {
          // Each on its own `within` of the same transaction: every third is refused, and must undo only itself.
          const names = Array.from({ length: 12 }, (_none, index) => (index % 3 === 0 ? 'A' : `E ${index}`));
          const answers = await Promise.all(names.map((name) => unwrap(create(inside(open), project.id, name))));
          expect(answers.filter(({ done }) => done)).toHaveLength(8);
          return 'commit';
        });
        expect(await countOf(project.id)).toBe(9);
        expect(await namesIn(project.id)).toHaveLength(9);
      });

      test('a deadlock takes the whole transaction, and says so', async () => {
        const mine = randomUUID();
        await db.query(noted(mine));
        const { project } = await writeProject(storage, org, ['A']);
        const other = await db.pool.getConnection();
        await other.beginTransaction();
        // Whoever has changed more is spared.
        for (let index = 0; index < 50; index++) await other.query(noted(randomUUID()));
        await other.query('UPDATE vivarium_projects SET updates = updates + 1 WHERE id = ?', [project.id]);

        await opened(async (open) => {
          await open.ask(`UPDATE host SET seen = seen + 1 WHERE note = '${mine}'`);
          const waiting = create(inside(open), project.id, 'B');
          const blocking = other.query('UPDATE host SET seen = seen + 1 WHERE note = ?', [mine]);
          const refused = (await waiting)._unsafeUnwrapErr();
          expect(refused).toMatchObject({
            code: 'storage_failure',
            retryable: true,
            outcome: 'none',
            transaction: 'lost',
          });
          await blocking;
          await other.rollback();
          other.release();
          // Nothing holds what is written now together, and nothing could take it back.
          if (form !== 'a session without autocommit') {
            const late = (await create(inside(open), project.id, 'C'))._unsafeUnwrapErr();
            expect(late.message).toContain('not in a transaction');
          }
          return 'rollback';
        });
        expect(await namesIn(project.id)).toEqual(['A']);
      });

      test('what others changed since the transaction first looked is seen, or ends it', async () => {
        const { environments } = await writeProject(storage, org, ['A', 'B', 'C']);
        const [renamed, gone] = [environments[1]!, environments[2]!];
        const renaming = () => ({
          environment: next(renamed),
          previousNameKey: 'b',
          expectedVersion: 1,
          change: changeIn(org),
        });
        const deletion = { environment: { ...gone, isDefault: false }, promote: null };
        const late: Readonly<Record<string, (there: Storage) => ResultAsync<{ done: boolean }, StorageFailure>>> = {
          stale: (there) => there.environments.update(renaming()),
          not_found: (there) => there.environments.makeDefault({ ref: gone, change: changeIn(org) }),
        };
        for (const [refused, write] of Object.entries(late)) {
          await opened(async (open) => {
            await open.ask('SELECT COUNT(*) FROM vivarium_projects, vivarium_environments');
            if (refused === 'stale') await unwrap(storage.environments.update(renaming()));
            else await unwrap(storage.environments.delete({ ...deletion, change: changeIn(org) }));
            const answer = await write(inside(open));
            if (engine.name === 'mariadb-snapshot') expect(answer._unsafeUnwrapErr().transaction).toBe('lost');
            else expect(answer._unsafeUnwrap()).toEqual({ done: false, refused });
            return 'rollback';
          });
        }
      });

      test('the outbox can be worked off', async () => {
        await opened(async (open) => {
          const there = inside(open);
          const { lease, entry } = await claimLane(there);
          expect(await unwrap(there.journal.acknowledge(lease, entry))).toBe(true);
          const prune = {
            orgId: lease.orgId,
            before: new Date('2099-01-01'),
            now: new Date(),
            undelivered: 'keep',
          } as const;
          expect(await unwrap(there.journal.prune({ ...prune, limit: 9 }))).toBe(1);
          return 'rollback';
        });
      });
    });

    test('a lock timeout fails the write and nothing else', async () => {
      const { project } = await writeProject(storage, org, ['A']);
      const [host, other] = [await db.pool.getConnection(), await db.pool.getConnection()];
      await other.beginTransaction();
      await other.query('UPDATE vivarium_projects SET updates = updates + 1 WHERE id = ?', [project.id]);
      await host.query('SET SESSION innodb_lock_wait_timeout = 1');
      await host.beginTransaction();
      const text = randomUUID();
      await host.query(noted(text));
      const refused = await create(db.storage.within(host), project.id, 'B');
      expect(refused._unsafeUnwrapErr()).toMatchObject({ retryable: true, outcome: 'none', transaction: null });
      await host.commit();
      await other.rollback();
      for (const one of [host, other]) one.destroy();
      expect(await notes()).toContain(text);
      expect(await namesIn(project.id)).toEqual(['A']);
    });

    test('a connection that is lost takes the transaction with it', async () => {
      const { project } = await writeProject(storage, org, ['A']);
      const connection = await db.pool.getConnection();
      await connection.beginTransaction();
      await unwrap(create(db.storage.within(connection), project.id, 'B'));
      await db.query(`KILL ${connection.threadId}`);
      const refused = await create(db.storage.within(connection), project.id, 'C');
      expect(refused._unsafeUnwrapErr()).toMatchObject({ outcome: 'none', transaction: 'lost' });
      connection.destroy();
      expect(await namesIn(project.id)).toEqual(['A']);
    });

    test('a connection on which no transaction was begun is refused, and nothing is written on it', async () => {
      const { project } = await writeProject(storage, org, ['A']);
      const connection = await db.pool.getConnection();
      const refused = await create(db.storage.within(connection), project.id, 'B');
      expect(refused._unsafeUnwrapErr().message).toContain('not in a transaction');
      connection.release();
      expect(await namesIn(project.id)).toEqual(['A']);
    });

    test('what is no transaction is refused at once', async () => {
      const kysely = overKysely(db);
      for (const wrong of [{}, { query: 'no' }, kysely, db.pool, db.pool.pool]) {
        expect(() => db.storage.within(wrong as MysqlTransaction)).toThrow(TypeError);
      }
      await kysely.destroy();
    });

    async function rows(): Promise<unknown> {
      const written = ['projects', 'environments', 'journal', 'journal_queue', 'idempotency_keys'];
      const counted = written.map((table) => `(SELECT COUNT(*) FROM vivarium_${table}) AS ${table}`);
      return db.query(`SELECT ${counted.join(', ')}`);
    }
  });
});
