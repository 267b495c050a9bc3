/** The promises on round trips, method by method, seen by a proxy between mysql2 and the server. */
import type { Storage } from '@vivarium/core/storage';
import { startCountingProxy } from '@vivarium/engines';
import type { CountingProxy } from '@vivarium/engines';
import { describeOnEngines } from '@vivarium/engines/vitest';
import type { AvailableEngine } from '@vivarium/engines/vitest';
import { Kysely, MysqlDialect } from 'kysely';
import { createPool as createCallbackPool } from 'mysql2';
import { createPool } from 'mysql2/promise';
import type { Pool } from 'mysql2/promise';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { buildReads, buildWrites } from '../../sql/test/build-calls.ts';
import { deploymentReads, deploymentWrites } from '../../sql/test/deployment-calls.ts';
import { ephemeralReads, ephemeralWrites } from '../../sql/test/ephemeral-calls.ts';
import { countTry, previewReads, previewWrites } from '../../sql/test/preview-calls.ts';
import { mysqlStorage } from '../src/index.ts';
import type { MysqlOptions, MysqlStorage } from '../src/index.ts';
import { database, everyEngine, mysql } from './databases.ts';
import type { Database } from './databases.ts';
import { changeIn, claimLane, newEnvironment, newKey, newProject, next, unwrap, writeProject } from './making.ts';

/** A call of one method, made anew each time, because a write cannot be made twice. Preparing it is not counted. */
type Call = (storage: Storage) => Promise<() => PromiseLike<unknown>>;
type Made = Awaited<ReturnType<typeof writeProject>>;

const org = 'budget';
const page = { limit: 50, after: null };
const onProject =
  (call: (storage: Storage, made: Made) => PromiseLike<unknown>, names = ['A', 'B', 'C']): Call =>
  async (storage) => {
    const made = await writeProject(storage, org, names);
    return () => call(storage, made);
  };

const reads: Readonly<Record<string, Call>> = {
  'projects.get': onProject(({ projects }, { project: { id } }) => unwrap(projects.get(org, id))),
  'projects.get with a key': onProject(({ projects }, { project: { id } }) => unwrap(projects.get(org, id, 'k'))),
  'projects.getByName': onProject(({ projects }, { project: { id } }) => unwrap(projects.getByName(org, id))),
  'projects.list': onProject(({ projects }) => unwrap(projects.list(org, {}, page))),
  'projects.lineage': onProject(({ projects }, { project: { id } }) => unwrap(projects.lineage(org, id, 'k'))),
  'projects.moveFacts': onProject(({ projects }, { project: { id } }) => unwrap(projects.moveFacts(org, id, null))),
  'environments.get': onProject(({ environments }, { environments: [a] }) => unwrap(environments.get(org, a!))),
  'environments.get with a key': onProject(({ environments }, { environments: [a] }) =>
    unwrap(environments.get(org, a!, 'k')),
  ),
  'environments.getByName': onProject(({ environments }, { project: { id } }) =>
    unwrap(environments.getByName(org, id, 'a')),
  ),
  'environments.getDefault': onProject(({ environments }, { project: { id } }) =>
    unwrap(environments.getDefault(org, id)),
  ),
  'environments.getTwo': onProject(({ environments }, { environments: [a, b] }) =>
    unwrap(environments.getTwo(org, a!, b!)),
  ),
  'environments.list of 50': onProject(
    ({ environments }, { project: { id } }) => unwrap(environments.list(org, id, page)),
    Array.from({ length: 50 }, (_none, index) => `E ${index}`),
  ),
  'environments.search': onProject(({ environments }, { project: { id } }) =>
    unwrap(environments.search(org, id, { nameKey: 'b', variableKey: 'x' }, page)),
  ),
  'environments.stats': onProject(({ environments }, { project: { id } }) => unwrap(environments.stats(org, id))),
  'environments.deleteFacts': onProject(({ environments }, { environments: [a] }) =>
    unwrap(environments.deleteFacts(org, a!, undefined, 'k')),
  ),
  'journal.list': onProject(({ journal }) => unwrap(journal.list(org, {}, page))),
  'journal.listParked': onProject(({ journal }) => unwrap(journal.listParked(org, page))),
};

/** A write with the number of its steps; with a key, one step more. */
type Write = readonly [steps: number, call: Call];

const done = { done: true };
const writes: Readonly<Record<string, Write>> = {
  'projects.create': [
    5,
    async (storage) => {
      const command = { ...newProject(['A', 'B']), treeVersion: null, change: changeIn(org, newKey()) };
      return async () => expect(await unwrap(storage.projects.create(command))).toEqual(done);
    },
  ],
  'projects.update': [
    3,
    onProject(async ({ projects }, { project }) => {
      const command = { project: next(project), previousNameKey: project.nameKey, expectedVersion: 1 };
      expect(await unwrap(projects.update({ ...command, change: changeIn(org) }))).toEqual(done);
    }),
  ],
  'projects.delete': [
    7,
    onProject(async ({ projects }, { project }) => {
      expect(await unwrap(projects.delete({ project, change: changeIn(org) }))).toEqual(done);
    }),
  ],
  'environments.create': [
    4,
    onProject(async ({ environments }, { project }) => {
      const command = { environment: newEnvironment(project.id, 'D'), maximum: 9, change: changeIn(org) };
      expect(await unwrap(environments.create(command))).toEqual(done);
    }),
  ],
  'environments.create with a key': [
    5,
    onProject(async ({ environments }, { project }) => {
      const command = { environment: newEnvironment(project.id, 'D'), maximum: 9, change: changeIn(org, newKey()) };
      expect(await unwrap(environments.create(command))).toEqual(done);
    }),
  ],
  'environments.update': [
    3,
    onProject(async ({ environments }, { environments: [a] }) => {
      const command = { environment: next(a!), previousNameKey: 'a', expectedVersion: 1, change: changeIn(org) };
      expect(await unwrap(environments.update(command))).toEqual(done);
    }),
  ],
  'environments.setVariables': [
    3,
    onProject(async ({ environments }, { environments: [a] }) => {
      const environment = { ...next(a!), variables: [{ key: 'K', value: 'x'.repeat(300_000) }] };
      const command = { environment, expectedVersion: 1, change: changeIn(org) };
      expect(await unwrap(environments.setVariables(command))).toEqual(done);
    }),
  ],
  'environments.makeDefault': [
    4,
    onProject(async ({ environments }, { environments: [, b] }) => {
      expect(await unwrap(environments.makeDefault({ ref: b!, change: changeIn(org) }))).toEqual(done);
    }),
  ],
  'environments.delete of the default': [
    5,
    onProject(async ({ environments }, { environments: [a, b] }) => {
      const command = { environment: { ...a!, isDefault: true }, promote: b!.id, change: changeIn(org) };
      expect(await unwrap(environments.delete(command))).toEqual(done);
    }),
  ],
  'journal.append': [2, onProject(({ journal }) => unwrap(journal.append(changeIn(org))))],
  'journal.acknowledge': [
    2,
    async (storage) => {
      const { lease, entry } = await claimLane(storage);
      return async () => expect(await unwrap(storage.journal.acknowledge(lease, entry))).toBe(true);
    },
  ],
  'journal.release': [
    1,
    async (storage) => {
      const { lease } = await claimLane(storage);
      return () => unwrap(storage.journal.release(lease));
    },
  ],
};

/** A storage whose one connection leads through a counting proxy. */
interface Counted {
  readonly storage: MysqlStorage;
  readonly pool: Pool;
  readonly url: string;
  /** Round trips of a call whose statements the connection has seen before: the first time, each has to be prepared. */
  trips(call: Call): Promise<number>;
  count(work: () => PromiseLike<unknown>): Promise<number>;
}

function describeCounted(
  engine: AvailableEngine,
  title: string,
  suite: (counted: () => Counted) => void,
  own?: MysqlOptions,
): void {
  describe(`[${engine.name}] round trips, ${title}`, () => {
    let db: Database;
    let proxy: CountingProxy;
    let made: Counted;

    beforeAll(async () => {
      db = await database(engine);
      proxy = await startCountingProxy(db.url);
      const pool = createPool({ uri: proxy.url, charset: 'utf8mb4', connectionLimit: 1 });
      const storage = own ? mysqlStorage({ connectionString: proxy.url }, own) : mysqlStorage({ pool });
      const count = async (work: () => PromiseLike<unknown>) => {
        const before = proxy.roundTrips();
        await work();
        return proxy.roundTrips() - before;
      };
      const trips = async (call: Call) => {
        await (
          await call(storage)
        )();
        return count(await call(storage));
      };
      made = { storage, pool, url: proxy.url, count, trips };
    });
    afterAll(async () => {
      await made.storage.close();
      await made.pool.end();
      await proxy.stop();
      await db.close();
    });

    suite(() => made);
  });
}

await describeOnEngines(everyEngine, (engine) => {
  const isMysql = engine.name === 'mysql-9';
  /** What a write of so many steps may take. A single statement needs no transaction around it. */
  const budget = (steps: number) => (isMysql && steps > 1 ? 2 + steps : 1);

  describeCounted(engine, 'over a pool', (counted) => {
    test.each(Object.entries({ ...reads, ...ephemeralReads, ...buildReads, ...deploymentReads, ...previewReads }))(
      '%s takes one',
      async (_name, call) => {
        expect(await counted().trips(call)).toBe(1);
      },
    );

    test.each(Object.entries({ ...writes, ...ephemeralWrites, ...buildWrites, ...deploymentWrites, ...previewWrites }))(
      '%s takes no more than promised',
      async (_name, [steps, call]) => {
        expect(await counted().trips(call)).toBe(budget(steps));
      },
    );

    test('counting a try takes two: one to see how many there were, and one to count on from there', async () => {
      expect(await counted().trips(countTry)).toBe(2);
    });

    test('a refused write takes its rollback and one read more', async () => {
      const { storage, trips } = counted();
      const { project } = await writeProject(storage, org, ['A']);
      const create = (name: string, maximum: number, refused: string) => async () => async () => {
        const command = { environment: newEnvironment(project.id, name), maximum, change: changeIn(org) };
        expect(await unwrap(storage.environments.create(command))).toEqual({ done: false, refused });
      };
      // MySQL: START, one step or two, ROLLBACK.
      expect(await trips(create('B', 1, 'limit_reached'))).toBe((isMysql ? 3 : 1) + 1);
      expect(await trips(create('A', 9, 'name_taken'))).toBe((isMysql ? 4 : 1) + 1);
    });

    test('a repeated command is found by its key, by the load or by one read after the write', async () => {
      const { storage, trips } = counted();
      const { project } = await writeProject(storage, org, ['A']);
      const key = newKey();
      let made = 0;
      const create = () => {
        const environment = newEnvironment(project.id, `E ${made++}`);
        return unwrap(storage.environments.create({ environment, maximum: 9, change: changeIn(org, key) }));
      };
      expect(await create()).toEqual(done);
      const repeated = async () => async () => expect(await create()).toMatchObject({ refused: 'key_taken' });
      // START, five steps of which the last is the key's, ROLLBACK.
      expect(await trips(repeated)).toBe((isMysql ? 7 : 1) + 1);
      const found = async () => async () =>
        expect((await unwrap(storage.projects.get(org, project.id, key.id))).key?.result).toEqual(key.result);
      expect(await trips(found)).toBe(1);
    });

    test('inside a transaction of mysql2 a read takes one, a write no more than promised', async () => {
      const { storage, pool, count } = counted();
      const connection = await pool.getConnection();
      const inside = storage.within(connection);
      const round = async () => {
        await connection.beginTransaction();
        const { project, environments } = await writeProject(inside, org, ['A']);
        const read = await count(() => unwrap(inside.environments.get(org, environments[0]!)));
        const environment = newEnvironment(project.id, 'B');
        const write = await count(() =>
          unwrap(inside.environments.create({ environment, maximum: 9, change: changeIn(org) })),
        );
        await connection.rollback();
        return { read, write };
      };
      await round();
      expect(await round()).toEqual({ read: 1, write: isMysql ? 2 + 4 : 1 });
      connection.release();
    });

    test('inside a transaction of Kysely a write on MySQL takes one more, to see whether there is a transaction', async () => {
      const { storage, count } = counted();
      const pool = createCallbackPool({ uri: counted().url, charset: 'utf8mb4', connectionLimit: 1 });
      const kysely = new Kysely<Record<string, never>>({ dialect: new MysqlDialect({ pool }) });
      await kysely.transaction().execute(async (transaction) => {
        const inside = storage.within(transaction);
        const { project } = await writeProject(inside, org, ['A']);
        const read = await count(() => unwrap(inside.projects.get(org, project.id)));
        const environment = newEnvironment(project.id, 'B');
        const write = await count(() =>
          unwrap(inside.environments.create({ environment, maximum: 9, change: changeIn(org) })),
        );
        expect({ read, write }).toEqual({ read: 1, write: isMysql ? 3 + 4 : 1 });
      });
      await kysely.destroy();
    });

    test('a connection costs one more when it is new, a statement one more when it is', async () => {
      const { storage, pool, count } = counted();
      const get = () => count(() => unwrap(storage.projects.get(org, randomUUID())));
      (await pool.getConnection()).destroy();
      const connecting = await count(async () => {
        const connection = await pool.getConnection();
        connection.release();
      });
      expect(connecting).toBeGreaterThan(0);
      expect([await get(), await get()]).toEqual([3, 1]);
    });

    test('a list of environments never looks at the variables', async () => {
      const { storage, pool } = counted();
      const { project, environments } = await writeProject(storage, org, ['A', 'B']);
      // Whoever reads these variables cannot but fail.
      await pool.query(`UPDATE vivarium_environments SET variables = '{"not":"a list"}'`);
      const listed = await unwrap(storage.environments.list(org, project.id, page));
      expect(listed!.items.map(({ name }) => name)).toEqual(['A', 'B']);
      expect((await storage.environments.get(org, environments[0]!)).isErr()).toBe(true);
    });
  });
});

await describeOnEngines(mysql, (engine) => {
  describeCounted(
    engine,
    'in batches',
    (counted) => {
      test.each(
        Object.entries({ ...writes, ...ephemeralWrites, ...buildWrites, ...deploymentWrites, ...previewWrites }),
      )('%s takes one', async (_name, [, call]) => {
        expect(await counted().trips(call)).toBe(1);
      });

      test('a refused write takes its rollback and one read more', async () => {
        const { storage, trips } = counted();
        const { project } = await writeProject(storage, org, ['A']);
        const refused = async () => async () => {
          const command = { environment: newEnvironment(project.id, 'B'), maximum: 1, change: changeIn(org) };
          expect(await unwrap(storage.environments.create(command))).toMatchObject({ refused: 'limit_reached' });
        };
        expect(await trips(refused)).toBe(3);
      });
    },
    { multiStatements: true },
  );
});
