/** The promises on round trips, method by method, seen by a proxy between pg and the server. PGlite has no wire; it runs the same statements. */
import type { Storage } from '@vivarium/core/storage';
import { startCountingProxy } from '@vivarium/engines';
import type { CountingProxy } from '@vivarium/engines';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { buildReads, buildWrites } from '../../sql/test/build-calls.ts';
import { deploymentReads, deploymentWrites } from '../../sql/test/deployment-calls.ts';
import { ephemeralReads, ephemeralWrites } from '../../sql/test/ephemeral-calls.ts';
import { countTry, previewReads, previewWrites } from '../../sql/test/preview-calls.ts';
import { postgresStorage } from '../src/index.ts';
import type { PostgresStorage } from '../src/index.ts';
import { database, servers } from './databases.ts';
import type { Database } from './databases.ts';
import { change, changed, environment, given, key, later, loaded, project, refOf, unwrap } from './making.ts';

type Given = Awaited<ReturnType<typeof given>>;

/** A call of one method, made anew for each try, because a write cannot be made twice. Preparing it is not counted. */
type Call = (storage: Storage) => Promise<() => PromiseLike<unknown>>;

const org = 'budget';
const page = { limit: 50, after: null };
const own = (call: (storage: Storage, given: Given) => PromiseLike<unknown>, environments = ['A', 'B', 'C']): Call => {
  return async (storage) => {
    const made = await given(storage, org, { environments });
    return () => call(storage, made);
  };
};

const reads: Readonly<Record<string, Call>> = {
  'projects.get': own(({ projects }, { project: { id } }) => unwrap(projects.get(org, id))),
  'projects.get with a key': own(({ projects }, { project: { id } }) => unwrap(projects.get(org, id, 'k'))),
  'projects.getByName': own(({ projects }, { project: { nameKey } }) => unwrap(projects.getByName(org, nameKey))),
  'projects.list': own(({ projects }) => unwrap(projects.list(org, {}, page))),
  'projects.list of roots': own(({ projects }) => unwrap(projects.list(org, { parentProjectId: null }, page))),
  'projects.list of children': own(({ projects }, { project: { id } }) =>
    unwrap(projects.list(org, { parentProjectId: id }, page)),
  ),
  'projects.lineage': own(({ projects }, { project: { id } }) => unwrap(projects.lineage(org, id, 'k'))),
  'projects.moveFacts': own(({ projects }, { project: { id } }) => unwrap(projects.moveFacts(org, id, null, 'k'))),
  'environments.get': own(({ environments }, made) => unwrap(environments.get(org, refOf(made.environments[0]!)))),
  'environments.get with a key': own(({ environments }, made) =>
    unwrap(environments.get(org, refOf(made.environments[0]!), 'k')),
  ),
  'environments.getByName': own(({ environments }, { project: { id } }) =>
    unwrap(environments.getByName(org, id, 'b')),
  ),
  'environments.getDefault': own(({ environments }, { project: { id } }) => unwrap(environments.getDefault(org, id))),
  'environments.getTwo': own(({ environments }, { environments: [a, b] }) =>
    unwrap(environments.getTwo(org, refOf(a!), refOf(b!))),
  ),
  'environments.list of 50': own(
    ({ environments }, { project: { id } }) => unwrap(environments.list(org, id, page)),
    Array.from({ length: 50 }, (_none, index) => `E ${index}`),
  ),
  'environments.list further': own(({ environments }, { project: { id }, environments: [first] }) =>
    unwrap(environments.list(org, id, { limit: 50, after: { first: first!.id, nameKey: 'b' } })),
  ),
  'environments.search': own(({ environments }, { project: { id } }) =>
    unwrap(environments.search(org, id, { nameKey: 'b', variableKey: 'x' }, page)),
  ),
  'environments.stats': own(({ environments }, { project: { id } }) => unwrap(environments.stats(org, id))),
  'environments.deleteFacts': own(({ environments }, made) =>
    unwrap(environments.deleteFacts(org, refOf(made.environments[0]!), undefined, 'k')),
  ),
  'environments.deleteFacts promoting': own(({ environments }, { environments: [a, b] }) =>
    unwrap(environments.deleteFacts(org, refOf(a!), b!.id, 'k')),
  ),
  'journal.list': own(({ journal }) => unwrap(journal.list(org, {}, page))),
  'journal.list of a subject': own(({ journal }) =>
    unwrap(journal.list(org, { subject: { type: 'test', id: 'x' } }, page)),
  ),
  'journal.listParked': own(({ journal }) => unwrap(journal.listParked(org, page))),
};

const done = { done: true };
const writes: Readonly<Record<string, Call>> = {
  'projects.create': async (storage) => {
    const made = project(`P ${randomUUID()}`, '');
    const environments = ['A', 'B', 'C'].map((name) => environment(made.id, name));
    const whole = { ...made, defaultEnvironmentId: environments[0]!.id };
    const command = { project: whole, environments, treeVersion: null, change: change(org, {}, key(randomUUID())) };
    return async () => expect(await unwrap(storage.projects.create(command))).toEqual(done);
  },
  'projects.create under a parent': async (storage) => {
    const parent = await given(storage, org);
    await given(storage, org, { parent: parent.project.id });
    const { treeVersion } = await unwrap(storage.projects.lineage(org, parent.project.id));
    const made = project(`P ${randomUUID()}`, '', parent.project.id);
    const only = environment(made.id, 'A');
    const whole = { ...made, defaultEnvironmentId: only.id };
    const command = { project: whole, environments: [only], treeVersion, change: change(org) };
    return async () => expect(await unwrap(storage.projects.create(command))).toEqual(done);
  },
  'projects.update': own(async ({ projects }, { project: before }) => {
    const after = { ...before, name: `Q ${before.id}`, nameKey: `q ${before.id}`, version: 2 };
    const command = { project: after, previousNameKey: before.nameKey, expectedVersion: 1, change: change(org) };
    expect(await unwrap(projects.update(command))).toEqual(done);
  }),
  'projects.move': async (storage) => {
    const { project: before } = await given(storage, org);
    const { project: parent } = await given(storage, org);
    await given(storage, org, { parent: parent.id });
    const { treeVersion, treeGrowth } = await unwrap(storage.projects.moveFacts(org, before.id, parent.id));
    const after = { ...before, parentProjectId: parent.id, version: 2 };
    const tree = { treeVersion, treeGrowth };
    const command = { project: after, previousParentId: null, expectedVersion: 1, ...tree, change: change(org) };
    return async () => expect(await unwrap(storage.projects.move(command))).toEqual(done);
  },
  'projects.delete': own(async ({ projects }, made) => {
    expect(await unwrap(projects.delete({ project: made.project, change: change(org) }))).toEqual(done);
  }),
  'environments.create': own(async ({ environments }, { project: { id } }) => {
    const command = { environment: environment(id, 'New'), maximum: 50, change: change(org, {}, key(randomUUID())) };
    expect(await unwrap(environments.create(command))).toEqual(done);
  }),
  'environments.update': own(async ({ environments }, made) => {
    const after = changed(made.environments[0]!, { name: 'Z', nameKey: 'z' });
    const command = { environment: after, previousNameKey: 'a', expectedVersion: 1, change: change(org) };
    expect(await unwrap(environments.update(command))).toEqual(done);
  }),
  'environments.setVariables': own(async ({ environments }, made) => {
    const after = changed(made.environments[0]!, { variables: [{ key: 'K', value: 'v' }] });
    const command = { environment: after, expectedVersion: 1, change: change(org) };
    expect(await unwrap(environments.setVariables(command))).toEqual(done);
  }),
  'environments.makeDefault': own(async ({ environments }, made) => {
    const command = { ref: refOf(made.environments[1]!), change: change(org) };
    expect(await unwrap(environments.makeDefault(command))).toEqual(done);
  }),
  'environments.delete': own(async ({ environments }, made) => {
    const command = { environment: loaded(made.environments[1]!, false), promote: null, change: change(org) };
    expect(await unwrap(environments.delete(command))).toEqual(done);
  }),
  'environments.delete of the default': own(async ({ environments }, { environments: [a, b] }) => {
    const command = { environment: loaded(a!, true), promote: b!.id, change: change(org) };
    expect(await unwrap(environments.delete(command))).toEqual(done);
  }),
  'journal.append': own(async ({ journal }) => {
    expect(await unwrap(journal.append(change(org)))).toEqual(done);
  }),
  'journal.prune': own(async ({ journal }) => {
    const command = { orgId: org, before: new Date(0), now: new Date(0), undelivered: 'drop', limit: 10 } as const;
    expect(await unwrap(journal.prune(command))).toBe(0);
  }),
};

/** An org of its own for each, so that the lane is the one that the test means. */
async function claimed(storage: Storage) {
  const orgId = `lane ${randomUUID()}`;
  await unwrap(storage.journal.append(change(orgId)));
  const now = later();
  const request = { orgId, now, leaseUntil: new Date(now.getTime() + 60_000), token: 't', limit: 10, except: [] };
  const lane = await unwrap(storage.journal.claim(request));
  return { lease: { orgId, lane: lane!.lane, token: 't' }, entry: lane!.entries[0]!.entry };
}

const deliveries: Readonly<Record<string, Call>> = {
  'journal.renew': async (storage) => {
    const { lease } = await claimed(storage);
    return async () => expect(await unwrap(storage.journal.renew(lease, later()))).toBe(true);
  },
  'journal.acknowledge': async (storage) => {
    const { lease, entry } = await claimed(storage);
    return async () => expect(await unwrap(storage.journal.acknowledge(lease, entry))).toBe(true);
  },
  'journal.fail': async (storage) => {
    const { lease, entry } = await claimed(storage);
    const failure = { attempts: 1, retryAt: later() };
    return async () => expect(await unwrap(storage.journal.fail(lease, entry, failure))).toBe(true);
  },
  'journal.fail for the last time': async (storage) => {
    const { lease, entry } = await claimed(storage);
    const failure = { attempts: 10, parkedAt: later(), reason: 'no' };
    return async () => expect(await unwrap(storage.journal.fail(lease, entry, failure))).toBe(true);
  },
  'journal.retryParked': async (storage) => {
    const { lease, entry } = await claimed(storage);
    await unwrap(storage.journal.fail(lease, entry, { attempts: 10, parkedAt: later(), reason: 'no' }));
    return async () => expect(await unwrap(storage.journal.retryParked(lease.orgId, entry.id, later()))).toBe(true);
  },
  'journal.release': async (storage) => {
    const { lease } = await claimed(storage);
    return () => unwrap(storage.journal.release(lease));
  },
};

await describeOnEngines(servers, (engine) => {
  describe(`[${engine.name}] round trips`, () => {
    let db: Database;
    let proxy: CountingProxy;
    let pool: pg.Pool;
    let storage: PostgresStorage;

    beforeAll(async () => {
      db = await database(engine);
      proxy = await startCountingProxy(engine.url);
      pool = new pg.Pool({ connectionString: proxy.url, max: 1 });
      storage = postgresStorage({ pool }, { schema: db.schema });
    });
    afterAll(async () => {
      await pool.end();
      await proxy.stop();
      await db.close();
    });

    async function counted(work: () => PromiseLike<unknown>): Promise<number> {
      const before = proxy.roundTrips();
      await work();
      return proxy.roundTrips() - before;
    }

    /** Cold, the connection is there and the statement is not yet prepared: that costs no round trip of its own. */
    const once = async (call: Call) => [await counted(await call(storage)), await counted(await call(storage))];

    test.each(Object.entries({ ...reads, ...writes, ...deliveries }))('%s takes one', async (_name, call) => {
      await unwrap(storage.projects.get(org, randomUUID()));
      expect(await once(call)).toEqual([1, 1]);
    });

    const sharedReads = Object.entries({ ...ephemeralReads, ...buildReads, ...deploymentReads, ...previewReads });
    const sharedWrites = Object.entries({
      ...ephemeralWrites,
      ...buildWrites,
      ...deploymentWrites,
      ...previewWrites,
    }).map(([name, [, call]]) => [name, call] as const);
    test.each([...sharedReads, ...sharedWrites])('%s takes one', async (_name, call) => {
      expect(await once(call)).toEqual([1, 1]);
    });

    test('counting a try takes two: one to see how many there were, and one to count on from there', async () => {
      expect(await once(countTry)).toEqual([2, 2]);
    });

    test('a refused write takes one more, to find out why', async () => {
      const { project: made } = await given(storage, org, { environments: ['A'] });
      const full = { environment: environment(made.id, 'B'), maximum: 1, change: change(org) };
      const taken = { environment: environment(made.id, 'A'), maximum: 5, change: change(org) };
      const nowhere = { environment: environment(randomUUID(), 'B'), maximum: 5, change: change(org) };
      for (const [command, refused] of [
        [full, 'limit_reached'],
        [taken, 'name_taken'],
        [nowhere, 'not_found'],
      ] as const) {
        const trips = await counted(async () => {
          expect(await unwrap(storage.environments.create(command))).toEqual({ done: false, refused });
        });
        expect(trips).toBe(2);
      }
    });

    test('a repeated command is found by its key, by the load or by one read more', async () => {
      const { project: made } = await given(storage, org, { environments: ['A'] });
      const used = key(randomUUID());
      const command = { environment: environment(made.id, 'B'), maximum: 5, change: change(org, {}, used) };
      await unwrap(storage.environments.create(command));
      const repeated = { ...command, environment: environment(made.id, 'B'), change: change(org, {}, used) };
      const written = await counted(async () => {
        expect(await unwrap(storage.environments.create(repeated))).toMatchObject({ refused: 'key_taken' });
      });
      const loadedWithKey = await counted(async () => {
        expect((await unwrap(storage.projects.get(org, made.id, used.id))).key).toMatchObject({ fingerprint: 'f' });
      });
      expect({ written, loadedWithKey }).toEqual({ written: 2, loadedWithKey: 1 });
    });

    test('inside a transaction a write takes three, a read one', async () => {
      const client = await pool.connect();
      await client.query('BEGIN');
      const inside = storage.within(client);
      const { project: made, environments } = await given(inside, org, { environments: ['A'] });
      const read = await counted(() => unwrap(inside.environments.get(org, refOf(environments[0]!))));
      const write = await counted(() =>
        unwrap(inside.environments.create({ environment: environment(made.id, 'B'), maximum: 5, change: change(org) })),
      );
      await client.query('ROLLBACK');
      client.release();
      expect({ read, write }).toEqual({ read: 1, write: 3 });
    });

    test('claiming a lane takes three: see one, take it, read it', async () => {
      const orgId = `claim ${randomUUID()}`;
      await unwrap(storage.journal.append(change(orgId)));
      const now = later();
      const request = { orgId, now, leaseUntil: new Date(now.getTime() + 1), token: 't', limit: 10, except: [] };
      expect(await counted(() => unwrap(storage.journal.claim(request)))).toBe(3);
    });

    test('a list of environments never looks at the variables', async () => {
      const { project: made, environments } = await given(storage, org, { environments: ['A', 'B'] });
      const huge = changed(environments[0]!, { variables: [{ key: 'K', value: 'secret'.repeat(1_000) }] });
      await unwrap(storage.environments.setVariables({ environment: huge, expectedVersion: 1, change: change(org) }));
      // Whoever reads these variables cannot but fail.
      await db.query(`UPDATE ${db.schema}.environments SET variables = '{"not":"a list"}' WHERE project_id = $1`, [
        made.id,
      ]);
      const listed = await unwrap(storage.environments.list(org, made.id, page));
      expect(listed!.items.map(({ name, variableCount }) => [name, variableCount])).toEqual([
        ['A', 1],
        ['B', 0],
      ]);
      expect((await storage.environments.get(org, refOf(huge))).isErr()).toBe(true);
    });
  });
});
