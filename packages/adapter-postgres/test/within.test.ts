/** Writes inside the host's own transaction, in each form in which a host can have one. */
import { PGlite } from '@electric-sql/pglite';
import type { Storage } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { CamelCasePlugin, Kysely, ParseJSONResultsPlugin, PGliteDialect, PostgresDialect, sql } from 'kysely';
import type { Transaction } from 'kysely';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { PostgresTransaction } from '../src/index.ts';
import { database, everyEngine } from './databases.ts';
import type { Database } from './databases.ts';
import { change, environment, given, project, refOf, unwrap } from './making.ts';

const org = 'within';

/** A transaction of the host's: what to hand to `within`, and the host's own way to ask in it. */
interface Open {
  readonly given: PostgresTransaction;
  ask(text: string): Promise<unknown>;
}

/** Opens a transaction, works in it, and ends it as the work says. */
type Opening = (work: (open: Open) => Promise<'commit' | 'rollback'>) => Promise<void>;

class RolledBack extends Error {}

/** Every form that the engine has, the Kysely ones with the plugins that rewrite what passes through them. */
function openings(db: Database): Record<string, Opening> {
  if ('pglite' in db.connection) {
    const pglite = db.connection.pglite as PGlite;
    return {
      'a transaction of PGlite': async (work) => {
        await pglite.transaction(async (given) => {
          if ((await work({ given, ask: (text) => given.query(text) })) === 'rollback') await given.rollback();
        });
      },
      'a Kysely transaction on PGlite': (work) =>
        overKysely(new Kysely({ dialect: new PGliteDialect({ pglite }), plugins }), work),
    };
  }
  const { pool } = db.connection as { pool: pg.Pool };
  return {
    'a pg client': async (work) => {
      const client = await pool.connect();
      await client.query('BEGIN');
      const end = await work({ given: client, ask: (text) => client.query(text) });
      await client.query(end);
      client.release();
    },
    'a Kysely transaction': (work) => overKysely(new Kysely({ dialect: new PostgresDialect({ pool }), plugins }), work),
    'a controlled Kysely transaction': async (work) => {
      const kysely = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }), plugins });
      const given = await kysely.startTransaction().execute();
      const end = await work({ given, ask: (text) => sql.raw(text).execute(given) });
      await given[end]().execute();
    },
  };
}

const plugins = [new CamelCasePlugin(), new ParseJSONResultsPlugin()];

async function overKysely(kysely: Kysely<Record<string, never>>, work: Parameters<Opening>[0]): Promise<void> {
  try {
    await kysely.transaction().execute(async (given: Transaction<Record<string, never>>) => {
      if ((await work({ given, ask: (text) => sql.raw(text).execute(given) })) === 'rollback') throw new RolledBack();
    });
  } catch (thrown) {
    if (!(thrown instanceof RolledBack)) throw thrown;
  }
}

const formsOf = {
  pglite: ['a transaction of PGlite', 'a Kysely transaction on PGlite'],
  server: ['a pg client', 'a Kysely transaction', 'a controlled Kysely transaction'],
};

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] within`, () => {
    let db: Database;
    let storage: Storage;
    beforeAll(async () => {
      db = await database(engine);
      storage = db.storage;
      await db.query(`CREATE TABLE ${db.schema}.host (note text PRIMARY KEY)`);
    });
    afterAll(() => db.close());

    const inside = (open: Open) => db.storage.within(open.given);
    const notes = async () =>
      (await db.query(`SELECT note FROM ${db.schema}.host ORDER BY note`)).map((row) => row['note']);
    const note = (text: string) => `INSERT INTO ${db.schema}.host VALUES ('${text}')`;

    describe.each(engine.name === 'pglite' ? formsOf.pglite : formsOf.server)('%s', (form) => {
      const opened: Opening = (work) => openings(db)[form]!(work);

      test('commits what the host did and what was written, together', async () => {
        const text = randomUUID();
        let made: Awaited<ReturnType<typeof given>>;
        await opened(async (open) => {
          await open.ask(note(text));
          made = await given(inside(open), org, { environments: ['A', 'B'] });
          const command = {
            environment: environment(made.project.id, 'C', [{ key: 'API_BASE_URL', value: '["x"]' }]),
            maximum: 9,
            change: change(org),
          };
          expect(await unwrap(inside(open).environments.create(command))).toEqual({ done: true });
          const found = await unwrap(inside(open).environments.getByName(org, made.project.id, 'c'));
          expect(found?.variables).toEqual([{ key: 'API_BASE_URL', value: '["x"]' }]);
          // PGlite has one connection: a question from outside would wait for the transaction to end.
          if (engine.name !== 'pglite') {
            expect((await unwrap(storage.projects.get(org, made.project.id))).found).toBe(null);
          }
          return 'commit';
        });
        expect(await notes()).toContain(text);
        const found = await unwrap(storage.environments.list(org, made!.project.id, { limit: 9, after: null }));
        expect(found!.items.map(({ name }) => name)).toEqual(['A', 'B', 'C']);
      });

      test('rolls back what was written, with its journal and its key', async () => {
        const before = await rows();
        await opened(async (open) => {
          const { project: made } = await given(inside(open), org);
          const used = { id: randomUUID(), fingerprint: 'f', result: {}, expiresAt: new Date('2099-01-01') };
          const command = { environment: environment(made.id, 'B'), maximum: 9, change: change(org, {}, used) };
          expect(await unwrap(inside(open).environments.create(command))).toEqual({ done: true });
          return 'rollback';
        });
        expect(await rows()).toEqual(before);
      });

      test('a refused write leaves the transaction as it was', async () => {
        const text = randomUUID();
        const { project: made, environments } = await given(storage, org, { environments: ['A', 'B'] });
        await opened(async (open) => {
          const { environments: within } = inside(open);
          const create = (name: string, maximum: number) =>
            unwrap(within.create({ environment: environment(made.id, name), maximum, change: change(org) }));
          expect(await create('first', 9)).toEqual({ done: true });
          // Refused by a constraint, by the first guard, and by a later one.
          expect(await create('A', 9)).toEqual({ done: false, refused: 'name_taken' });
          expect(await create('D', 3)).toEqual({ done: false, refused: 'limit_reached' });
          const nobody = { projectId: made.id, id: randomUUID() };
          expect(await unwrap(within.makeDefault({ ref: nobody, change: change(org) }))).toEqual({
            done: false,
            refused: 'not_found',
          });
          expect(await create('second', 9)).toEqual({ done: true });
          await open.ask(note(text));
          return 'commit';
        });
        expect(await notes()).toContain(text);
        const listed = await unwrap(storage.environments.list(org, made.id, { limit: 9, after: null }));
        expect(listed!.items.map(({ name }) => name)).toEqual(['A', 'B', 'first', 'second']);
        expect((await unwrap(storage.environments.getDefault(org, made.id)))?.id).toBe(environments[0]!.id);
        expect(await countOf(made.id)).toBe(4);
      });

      test('calls that are made at the same time come one after the other', async () => {
        const { project: made } = await given(storage, org, { environments: ['A'] });
        await opened(async (open) => {
          const calls = Array.from({ length: 12 }, (_none, index) => {
            // Each on its own `within` of the same transaction: every third is refused, and must undo only itself.
            const { environments } = inside(open);
            const name = index % 3 === 0 ? 'A' : `E ${index}`;
            return unwrap(
              environments.create({ environment: environment(made.id, name), maximum: 50, change: change(org) }),
            );
          });
          const answers = await Promise.all([...calls, unwrap(inside(open).environments.stats(org, made.id))]);
          expect(answers.filter((answer) => answer !== null && 'done' in answer && answer.done)).toHaveLength(8);
          return 'commit';
        });
        expect(await countOf(made.id)).toBe(9);
        expect((await unwrap(storage.environments.stats(org, made.id)))?.environments).toBe(9);
      });

      test('a transaction that has failed already says so, and that it is lost', async () => {
        await opened(async (open) => {
          await expect(open.ask('SELECT 1 / 0')).rejects.toThrow();
          const one = environment(randomUUID(), 'A');
          for (const refused of [
            await inside(open).environments.create({ environment: one, maximum: 9, change: change(org) }),
            await inside(open).environments.get(org, refOf(one)),
          ]) {
            expect(refused._unsafeUnwrapErr()).toMatchObject({
              code: 'storage_failure',
              transaction: 'lost',
              retryable: false,
              outcome: 'none',
            });
          }
          return 'rollback';
        });
      });
    });

    async function countOf(projectId: string): Promise<number> {
      const [row] = await db.query(`SELECT environment_count FROM ${db.schema}.projects WHERE id = $1`, [projectId]);
      return row!['environment_count'] as number;
    }

    async function rows(): Promise<unknown> {
      const tables = ['projects', 'environments', 'journal', 'journal_queue', 'idempotency_keys'];
      const counted = tables.map((table) => `(SELECT count(*)::int FROM ${db.schema}.${table}) AS ${table}`);
      return db.query(`SELECT ${counted.join(', ')}`);
    }

    if (engine.name !== 'pglite') {
      test('a conflict is not retried: it is the host who has to start anew', async () => {
        const { project: made } = await given(storage, org, { environments: ['A'] });
        const { pool } = db.connection as { pool: pg.Pool };
        const client = await pool.connect();
        try {
          await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
          await client.query('SELECT 1');
          await client.query(`SELECT FROM ${db.schema}.projects`);
          const command = () => ({
            environment: environment(made.id, `E ${randomUUID()}`),
            maximum: 9,
            change: change(org),
          });
          expect(await unwrap(storage.environments.create(command()))).toEqual({ done: true });
          const refused = await db.storage.within(client).environments.create(command());
          expect(refused._unsafeUnwrapErr()).toMatchObject({
            code: 'storage_failure',
            retryable: true,
            outcome: 'none',
            transaction: null,
          });
          await client.query('SELECT 1');
        } finally {
          await client.query('ROLLBACK');
          client.release();
        }
      });

      test('a connection that is lost takes the transaction with it', async () => {
        const { pool } = db.connection as { pool: pg.Pool };
        const client = await pool.connect();
        client.on('error', () => undefined);
        await client.query('BEGIN');
        const [backend] = (await client.query('SELECT pg_backend_pid() AS pid')).rows as [{ pid: number }];
        await db.query('SELECT pg_terminate_backend($1)', [backend.pid]);
        const made = project('P', randomUUID());
        const refused = await db.storage.within(client).projects.delete({ project: made, change: change(org) });
        expect(refused._unsafeUnwrapErr()).toMatchObject({
          code: 'storage_failure',
          outcome: 'none',
          transaction: 'lost',
        });
        client.release(true);
      });

      test('a client on which nobody called BEGIN is refused', async () => {
        const { pool } = db.connection as { pool: pg.Pool };
        const client = await pool.connect();
        const made = project('P', randomUUID());
        const refused = await db.storage.within(client).projects.delete({ project: made, change: change(org) });
        expect(refused._unsafeUnwrapErr().message).toContain('not in a transaction');
        client.release();
      });
    }

    test('what is no transaction is refused at once', () => {
      const { within } = db.storage;
      const wrong: unknown[] = [
        {},
        { query: 'no' },
        new Kysely({ dialect: new PGliteDialect({ pglite: new PGlite() }) }),
      ];
      if ('pglite' in db.connection) wrong.push(db.connection.pglite);
      else wrong.push((db.connection as { pool: pg.Pool }).pool);
      for (const one of wrong) expect(() => within(one as PostgresTransaction)).toThrow(TypeError);
    });
  });
});
