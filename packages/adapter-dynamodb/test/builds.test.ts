import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createVivarium, unwrap } from '@vivarium/core';
import type { BuildHistory, Client } from '@vivarium/core';
import { compareBytes } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { dynamodbStorage } from '../src/index.ts';
import { clientAt, injectConflicts, makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

interface References {
  readonly projectId: string | null;
  readonly platformId: string;
  readonly osVersionId: string;
  readonly imageTypeId: string;
}

const at = (second: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, second));
const failure = { failureType: 'provisioner', errorMessage: 'exit status 1' };

/** It failed so often at its first milestone. */
const historyOf = (tries: number): Pick<BuildHistory, 'status' | 'createdAt' | 'states' | 'failures'> => ({
  status: 'failed',
  createdAt: at(0),
  states: Array.from({ length: tries }, (_, i) => ({
    state: 0,
    status: 'failed',
    startTime: at(2 * i),
    endTime: at(2 * i + 1),
    errorMessage: 'no',
  })),
  failures: Array.from({ length: tries }, (_, i) => ({
    state: 0,
    retryAttempt: i,
    failureType: 'imported',
    errorMessage: 'no',
    createdAt: at(2 * i + 1),
  })),
});

const codeOf = async (answer: Answer) => {
  const result = await answer;
  return result.isOk() ? 'ok' : (result.error as Error & { readonly code: string }).code;
};

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] builds', () => {
    let bench: Bench;
    let org: string;
    let ada: Client;
    let references: References;
    let orgs = 0;
    const clients: DynamoDBClient[] = [];

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(async () => {
      for (const client of clients) client.destroy();
      await bench.close();
    });
    beforeEach(async () => {
      org = `builds-${++orgs}`;
      ada = bench.as(org);
      references = { projectId: null, ...(await entriesOf(ada)) };
    });
    afterEach(() => bench.client.middlewareStack.remove('disturbance'));

    const entriesOf = async ({ builds: { catalog } }: Client, name = 'one') => ({
      platformId: unwrap(await catalog.platforms.create({ name, cloudProvider: 'aws' })).id,
      osVersionId: unwrap(await catalog.osVersions.create({ name, osFamily: 'rhel', majorVersion: 8 })).id,
      imageTypeId: unwrap(await catalog.imageTypes.create({ name })).id,
    });
    const start = async (buildNumber: string, projectId: string | null = null) =>
      unwrap(await ada.builds.start({ buildNumber, ...references, projectId }));

    /** Another process, of which every request first goes through here. */
    const elsewhere = (disturb: (command: string, input: object) => Promise<void> | void, minutesAhead = 0): Client => {
      const client = clientAt(engine.url, { maxAttempts: 1 });
      clients.push(client);
      client.middlewareStack.add(
        (next, context) => async (args) => {
          await disturb(context.commandName!.replace(/Command$/, ''), args.input);
          return next(args);
        },
        { step: 'initialize' },
      );
      const clock = { now: () => new Date(Date.now() + minutesAhead * 60_000) };
      const storage = dynamodbStorage({ client, table: bench.table });
      return createVivarium({ storage, clock }).as({ org, type: 'user', id: 'ada' });
    };
    const died = () => {
      throw Object.assign(new Error('the process died'), { code: 'ECONNRESET' });
    };
    const keys = async () =>
      (await bench.items())
        .map(({ pk, sk }) => `${pk!.S} / ${sk!.S}`)
        .filter((key) => key.startsWith(`${org}#`))
        .map((key) => key.slice(org.length))
        .sort();
    /** What there is of builds, but for the journal. */
    const keysOfBuilds = async () => (await keys()).filter((key) => /^#(B|BN|BL|BA|F|FL|BF|X)[# ]/.test(key));
    /** What anybody sees of builds. */
    const seen = async (number: string) => ({
      builds: unwrap(await ada.builds.list()).items.map(({ buildNumber }) => buildNumber),
      number: await codeOf(ada.builds.getByNumber(number)),
      failures: unwrap(await ada.builds.listFailures({ limit: 100 })).items.map(({ failureType }) => failureType),
      stats: unwrap(await ada.builds.stats()),
    });

    describe('a history that does not fit into a transaction', () => {
      const tries = 40;
      const whole = () => ada.builds.import({ buildNumber: 'old', ...references, ...historyOf(tries) });

      test('is there with all of it, and nothing else is left', async () => {
        const { id } = unwrap(await whole());
        expect((await keysOfBuilds()).map((key) => key.split(/[# ]/)[1]!).toSorted(compareBytes)).toEqual(
          ['B', 'BN', 'BL', ...Array.from({ length: tries }, () => ['B', 'F', 'FL', 'BF']).flat()].sort(compareBytes),
        );
        const states = unwrap(await ada.builds.listStates(id, { limit: 100 })).items;
        expect(states.map(({ sequence }) => sequence)).toEqual(Array.from({ length: tries }, (_, i) => i + 1));
        const { items } = unwrap(await ada.builds.listFailures({ limit: 100 }));
        expect(items.map(({ retryAttempt }) => retryAttempt)).toEqual(
          Array.from({ length: tries }, (_, i) => tries - 1 - i),
        );
        const resolved = unwrap(await ada.builds.resolveFailure(items[3]!.id, { notes: 'done' }));
        expect(unwrap(await ada.builds.listFailures({ buildId: id, resolved: true })).items).toEqual([resolved]);
        expect(unwrap(await ada.builds.planResume(id)).unresolvedFailures).toBe(tries - 1);
        expect(unwrap(await ada.builds.resume(id)).retryCount).toBe(tries);
      });

      // A note, 2 batches of failures in the list of their build, 5 of attempts and failures, the transaction.
      test.each([0, 1, 2, 3, 5, 7, 8])(
        'is not there at all when the process dies before request %i, and what it wrote is removed',
        async (fatal) => {
          const before = await seen('old');
          const untouched = await keysOfBuilds();
          let writes = 0;
          const worker = elsewhere((command) => {
            if (/Write/.test(command) && writes++ >= fatal) died();
          });
          const answer = await worker.builds.import({ buildNumber: 'old', ...references, ...historyOf(tries) });
          expect(answer.isErr() && answer.error.code).toBe('storage_failure');
          const left = await keysOfBuilds();
          expect(left).toHaveLength(
            untouched.length + [0, 1, 26, 41, 91, 141, 161][[0, 1, 2, 3, 5, 7, 8].indexOf(fatal)]!,
          );

          expect(await seen('old')).toEqual(before);
          const buildId = left.find((key) => key.startsWith('#X / B#'))?.slice(7) ?? crypto.randomUUID();
          expect(await codeOf(ada.builds.get(buildId))).toBe('not_found');
          for (const page of [{}, { limit: 2 }]) {
            expect(await codeOf(ada.builds.listStates(buildId, page))).toBe('not_found');
            expect(await codeOf(ada.builds.listFailures({ buildId, ...page }))).toBe('not_found');
          }
          const page = { limit: 5, after: 3 };
          expect(unwrap(await bench.storage.builds.listStates(org, buildId, page))).toBe(null);
          for (const key of left.filter((one) => one.startsWith('#F#'))) {
            expect(await codeOf(ada.builds.resolveFailure(key.split(/[# ]/)[2]!, { notes: 'x' }))).toBe('not_found');
          }

          // Whoever deletes a project next goes on with it, but not while it may still be under way.
          const shop = unwrap(await ada.projects.create({ name: 'Shop' }));
          unwrap(await ada.projects.delete(shop.id));
          expect(await keysOfBuilds()).toEqual(left);
          const later = elsewhere(() => undefined, 2);
          const bank = unwrap(await later.projects.create({ name: 'Bank' }));
          unwrap(await later.projects.delete(bank.id));
          expect(await keysOfBuilds()).toEqual(untouched);
          unwrap(await whole());
        },
      );

      test('is removed at once when its build is refused', async () => {
        unwrap(await ada.builds.start({ buildNumber: 'old', ...references }));
        const there = await keysOfBuilds();
        expect(await codeOf(whole())).toBe('build_number_taken');
        expect(await keysOfBuilds()).toEqual(there);
      });

      test('is not brought by a process that was so slow that it was taken for dead', async () => {
        const untouched = await keysOfBuilds();
        const later = elsewhere(() => undefined, 2);
        const shop = unwrap(await ada.projects.create({ name: 'Shop' }));
        const slow = elsewhere(async (command) => {
          if (command === 'TransactWriteItems') unwrap(await later.projects.delete(shop.id));
        });
        const answer = await slow.builds.import({ buildNumber: 'old', ...references, ...historyOf(tries) });
        expect(answer.isErr() && answer.error).toMatchObject({
          code: 'storage_failure',
          retryable: true,
          outcome: 'none',
        });
        expect(await keysOfBuilds()).toEqual(untouched);
      });

      test('is not removed when its build came just before', async () => {
        // Looks at the note, and is then overtaken by the import.
        let go: () => void = () => undefined;
        const noticed = new Promise<void>((resolve) => (go = resolve));
        let finish: () => void = () => undefined;
        const done = new Promise<void>((resolve) => (finish = resolve));
        const sweeper = elsewhere(async (command) => {
          if (command !== 'UpdateItem') return;
          go();
          await done;
        }, 2);
        const shop = unwrap(await ada.projects.create({ name: 'Shop' }));
        let sweeping: Promise<unknown> = Promise.resolve();
        const worker = elsewhere(async (command) => {
          if (command !== 'TransactWriteItems') return;
          sweeping = (async () => unwrap(await sweeper.projects.delete(shop.id)))();
          await noticed;
        });
        const { id } = unwrap(await worker.builds.import({ buildNumber: 'old', ...references, ...historyOf(tries) }));
        finish();
        await sweeping;
        expect(unwrap(await ada.builds.listStates(id, { limit: 100 })).items).toHaveLength(tries);
        expect(unwrap(await ada.builds.listFailures({ limit: 100 })).items).toHaveLength(tries);
      });

      test('is seen with all of its failures or none by who reads the list while it comes', async () => {
        // The list is read when a part of the failures is there, and the build comes before anything else is read.
        let go: () => void = () => undefined;
        const begun = new Promise<void>((resolve) => (go = resolve));
        let finish: () => void = () => undefined;
        const looked = new Promise<void>((resolve) => (finish = resolve));
        let writes = 0;
        const worker = elsewhere(async (command) => {
          if (command !== 'BatchWriteItem' || ++writes !== 6) return;
          go();
          await looked;
        });
        const importing = (async () =>
          unwrap(await worker.builds.import({ buildNumber: 'old', ...references, ...historyOf(tries) })))();
        await begun;
        expect((await keysOfBuilds()).filter((key) => key.startsWith('#FL')).length).toBeGreaterThan(0);
        expect(unwrap(await ada.builds.listFailures({ limit: 100 })).items).toEqual([]);
        const sent: string[] = [];
        const reader = elsewhere(async (command) => {
          sent.push(command);
          if (sent.length !== 2) return;
          finish();
          await importing;
        });
        const { items } = unwrap(await reader.builds.listFailures({ limit: 100 }));
        expect(sent).toEqual(['Query', 'GetItem', 'Query', 'BatchGetItem']);
        expect(items).toHaveLength(tries);
      });
    });

    describe('the catalog', () => {
      test('an entry is deleted or gets its first build, never both', async () => {
        const disturbed = [clientAt(engine.url), clientAt(engine.url)];
        clients.push(...disturbed);
        for (const client of disturbed) injectConflicts(client, 0.2);
        const [one, two] = disturbed.map((client) =>
          createVivarium({ storage: dynamodbStorage({ client, table: bench.table }) }).system(org),
        );
        const outcomes = new Set<string>();
        for (let round = 0; round < 12; round++) {
          const entries = await entriesOf(ada, `round ${round}`);
          const [started, deleted] = await Promise.all([
            codeOf(one!.builds.start({ buildNumber: `b-${round}`, ...entries })),
            codeOf(two!.builds.catalog.platforms.delete(entries.platformId)),
          ]);
          expect(['ok in_use', 'not_found ok']).toContain(`${started} ${deleted}`);
          outcomes.add(started);
          expect(await codeOf(ada.builds.catalog.platforms.get(entries.platformId))).toBe(
            started === 'ok' ? 'ok' : 'not_found',
          );
        }
      });

      test('an entry stays in use whatever else is changed of it', async () => {
        await start('b-1');
        const { platforms } = ada.builds.catalog;
        unwrap(await platforms.update(references.platformId, { name: 'renamed', region: 'eu' }));
        unwrap(await platforms.update(references.platformId, { region: null }));
        expect(await codeOf(platforms.delete(references.platformId))).toBe('in_use');
      });

      test('what a process knows of entries does not outlive what it reads of them', async () => {
        await start('b-1');
        // Somebody put the item back as it was before the build.
        const key = { pk: `${org}#CAT#platform`, sk: `E#${references.platformId}` };
        const item = (await bench.items()).find(({ pk, sk }) => pk!.S === key.pk && sk!.S === key.sk)!;
        const { used, ...unused } = item;
        expect(used).toEqual({ N: '1' });
        await bench.client.send(new PutItemCommand({ TableName: bench.table, Item: unused }));
        await start('b-2');
        expect(await codeOf(ada.builds.catalog.platforms.delete(references.platformId))).toBe('in_use');
      });
    });

    describe('a deleted project', () => {
      const inProject = async (count: number) => {
        const shop = unwrap(await ada.projects.create({ name: 'Shop' }));
        unwrap(await ada.builds.milestonePlans.define({ projectId: shop.id, milestones: [0, 100] }));
        const made = [];
        for (let i = 0; i < count; i++) made.push(await start(`b-${i}`, shop.id));
        return { shop, made };
      };
      const stored = async (ids: readonly string[]) =>
        Promise.all(ids.map(async (id) => unwrap(await bench.storage.builds.get(org, id)).found!));

      test('leaves its builds as they were but for itself, and no plan', async () => {
        const { shop, made } = await inProject(30);
        const ids = made.map(({ id }) => id);
        const before = await stored(ids);
        unwrap(await ada.projects.delete(shop.id));
        expect(await stored(ids)).toEqual(before.map((build) => ({ ...build, projectId: null })));
        expect((await keys()).filter((key) => key.startsWith(`#P#${shop.id}`))).toEqual([]);
        expect(unwrap(await ada.builds.list({ limit: 100 })).items).toHaveLength(30);
        expect(unwrap(await ada.builds.stats()).total).toBe(30);
        unwrap(await ada.builds.states.enter(ids[0]!, { state: 0 }));
        expect((await stored(ids)).map(({ projectId }) => projectId)).toEqual(ids.map(() => null));
      });

      test.each([
        ['UpdateItem', 0],
        ['UpdateItem', 7],
        ['BatchWriteItem', 0],
        ['BatchWriteItem', 1],
      ])(
        'whose removal breaks down at a %s (after %i) has no builds any more, and the next one finishes',
        async (broken, after) => {
          const { shop, made } = await inProject(30);
          let done = 0;
          const worker = elsewhere((command) => {
            if (command === broken && done++ >= after) died();
          });
          unwrap(await worker.projects.delete(shop.id));
          expect((await keys()).some((key) => key.startsWith(`#P#${shop.id}`))).toBe(true);

          const projectId = shop.id;
          expect(unwrap(await ada.builds.list({ projectId })).items).toEqual([]);
          expect(unwrap(await ada.builds.list({ projectId, status: 'pending' })).items).toEqual([]);
          expect(unwrap(await ada.builds.stats({ projectId })).total).toBe(0);
          expect(unwrap(await ada.builds.stats()).total).toBe(30);
          expect(await codeOf(ada.builds.milestonePlans.get({ projectId }))).toBe('not_found');
          expect(await codeOf(ada.builds.milestonePlans.define({ projectId, milestones: [100] }))).toBe('not_found');
          expect(await codeOf(ada.builds.start({ buildNumber: 'new', ...references, projectId }))).toBe('not_found');
          const large = { buildNumber: 'old', ...references, ...historyOf(40), projectId };
          expect(await codeOf(ada.builds.import(large))).toBe('not_found');

          const later = elsewhere(() => undefined, 2);
          const bank = unwrap(await later.projects.create({ name: 'Bank' }));
          unwrap(await later.projects.delete(bank.id));
          const builds = await stored(made.map(({ id }) => id));
          expect(builds.map((build) => [build.projectId, build.version])).toEqual(made.map(() => [null, 1]));
          expect((await keys()).filter((key) => key.startsWith(`#P#${shop.id}`))).toEqual([]);
        },
      );

      test('is not given back to a build by what was decided before', async () => {
        const { shop, made } = await inProject(1);
        const worker = elsewhere(async (command) => {
          if (command === 'TransactWriteItems') unwrap(await ada.projects.delete(shop.id));
        });
        unwrap(await worker.builds.states.enter(made[0]!.id, { state: 0 }));
        expect(await stored([made[0]!.id])).toMatchObject([{ projectId: null, version: 2, status: 'running' }]);
      });

      test('takes no build that was decided on before', async () => {
        const { shop } = await inProject(0);
        let deleted = false;
        const worker = elsewhere(async (command) => {
          if (command !== 'TransactWriteItems' || deleted) return;
          deleted = true;
          unwrap(await ada.projects.delete(shop.id));
        });
        const answer = worker.builds.start({ buildNumber: 'late', ...references, projectId: shop.id });
        expect(await codeOf(answer)).toBe('not_found');
        expect(await keysOfBuilds()).toEqual([]);
      });
    });

    describe('what is not read at one instant', () => {
      type Items = { readonly sk: { readonly S: string } }[];

      /** Of the first answer to a request of this kind, the build's own item is as it was before `write`, or as it is behind it; the rest the other way round. */
      const torn = (
        command: string,
        head: 'before' | 'behind',
        itemsIn: (output: unknown) => Items,
        write: () => Promise<unknown>,
      ) => {
        const client = clientAt(engine.url);
        clients.push(client);
        let reads = 0;
        client.middlewareStack.add(
          (next, context) => async (args) => {
            const before = await next(args);
            if (context.commandName !== `${command}Command` || ++reads > 1) return before;
            await write();
            const behind = await next(args);
            const [answer, other] = head === 'behind' ? [before, behind] : [behind, before];
            const isHead = ({ sk }: Items[number]) => sk.S === '#';
            const items = itemsIn(answer.output);
            items[items.findIndex(isHead)] = itemsIn(other.output).find(isHead)!;
            return answer;
          },
          { step: 'initialize' },
        );
        const { builds } = dynamodbStorage({ client, table: bench.table });
        return { builds, reads: () => reads };
      };
      const batch = (output: unknown) => (output as { Responses: Record<string, Items> }).Responses[bench.table]!;
      const query = (output: unknown) => (output as { Items: Items }).Items;
      const manifest = (id: string) => ({
        builds: [{ name: 'ami', builder_type: 'amazon-ebs', artifact_id: id, packer_run_uuid: 'run' }],
        last_run_uuid: 'run',
      });

      test.each(['before', 'behind'] as const)('a build and its manifest, the build as it is %s', async (head) => {
        const { id } = await start('b-1');
        unwrap(await ada.builds.attachPackerManifest(id, manifest('ami-1')));
        const { builds, reads } = torn('BatchGetItem', head, batch, async () =>
          unwrap(await ada.builds.attachPackerManifest(id, manifest('ami-2'))),
        );
        const found = unwrap(await builds.getWithManifest(org, { id }))!;
        expect([found.build.version, found.manifest!.includes('ami-2'), reads()]).toEqual([3, true, 2]);
      });

      test.each(['before', 'behind'] as const)('a build and its attempts, the build as it is %s', async (head) => {
        const { id } = await start('b-1');
        unwrap(await ada.builds.states.enter(id, { state: 0 }));
        const { builds, reads } = torn('Query', head, query, async () =>
          unwrap(await ada.builds.states.enter(id, { state: 5 })),
        );
        const { items } = unwrap(await builds.listStates(org, id, { limit: 10, after: null }))!;
        expect(items.map(({ state, status }) => [state, status])).toEqual([
          [0, 'completed'],
          [5, 'started'],
        ]);
        expect(reads()).toBe(2);
      });

      test('a build and its failures, of which one comes in between', async () => {
        const { id } = await start('b-1');
        unwrap(await ada.builds.states.enter(id, { state: 0 }));
        let failed = false;
        const reader = elsewhere(async (command) => {
          if (command !== 'Query' || failed) return;
          failed = true;
          unwrap(await ada.builds.states.fail(id, failure));
        });
        expect(unwrap(await reader.builds.planResume(id))).toMatchObject({
          resumable: true,
          unresolvedFailures: 1,
          lastFailure: failure,
        });
      });

      test('a build that ends while figures are made counts once', async () => {
        const { id } = await start('b-1');
        unwrap(await ada.builds.states.enter(id, { state: 100 }));
        const reader = elsewhere(async (command) => {
          if (command === 'GetItem') unwrap(await ada.builds.states.complete(id, { state: 100 }));
        });
        expect(unwrap(await reader.builds.stats())).toMatchObject({
          total: 1,
          byStatus: { completed: 1, running: 0 },
          states: [{ state: 100, attempts: 1, completed: 1 }],
        });
        const list = elsewhere(async (command) => {
          if (command === 'GetItem') unwrap(await ada.builds.cancel((await start('b-3')).id));
        });
        expect(unwrap(await list.builds.list({ status: 'completed' })).items.map((build) => build.id)).toEqual([id]);
      });

      test('a build that has come to another status since it was found is not in the list of those', async () => {
        const [first, second] = [await start('b-1'), await start('b-2')];
        let canceled = false;
        const reader = elsewhere(async (command) => {
          if (command !== 'BatchGetItem' || canceled) return;
          canceled = true;
          unwrap(await ada.builds.cancel(second.id));
        });
        const page = unwrap(await reader.builds.list({ status: 'pending' }));
        expect([page.items.map(({ id }) => id), page.nextCursor]).toEqual([[first.id], null]);
      });
    });

    test('a list with a filter looks at ever more places a request, until its page is full', async () => {
      const other = await entriesOf(ada, 'other');
      const found = unwrap(await ada.builds.start({ buildNumber: 'found', ...other }));
      await Promise.all(
        Array.from({ length: 450 }, async (_, i) =>
          unwrap(await ada.builds.start({ buildNumber: `b-${i}`, ...references })),
        ),
      );
      const { operations, value } = await bench.traffic(async () =>
        ada.builds.list({ platformId: other.platformId, limit: 1 }),
      );
      expect(unwrap(value)).toMatchObject({ items: [{ id: found.id }], nextCursor: null });
      expect(operations).toEqual(['Query', 'Query', 'GetItem']);
    });

    test('24 workers at one build: each attempt is in its history once, and what stands of it elsewhere agrees', async () => {
      const disturbed = [clientAt(engine.url), clientAt(engine.url)];
      clients.push(...disturbed);
      for (const client of disturbed) injectConflicts(client, 0.2);
      const workers = disturbed.map((client) =>
        createVivarium({ storage: dynamodbStorage({ client, table: bench.table }) }).system(org),
      );
      const { id } = await start('b-1');
      await Promise.all(
        Array.from({ length: 24 }, async (_, i) => {
          const { builds } = workers[i % 2]!;
          for (let round = 0; round < 4; round++) {
            await builds.states.enter(id, { state: 5 * ((i + round) % 20) });
            if (i % 3 === 0) await builds.states.fail(id, failure);
            if (i % 3 === 1) await builds.resume(id);
          }
        }),
      );
      const build = unwrap(await ada.builds.get(id));
      const states = unwrap(await ada.builds.listStates(id, { limit: 100 })).items;
      expect(states.map(({ sequence }) => sequence)).toEqual(Array.from({ length: build.attempts }, (_, i) => i + 1));
      const stats = unwrap(await ada.builds.stats());
      for (const status of ['completed', 'failed'] as const) {
        const counted = stats.states.reduce((sum, figures) => sum + figures[status], 0);
        expect(counted).toBe(states.filter((state) => state.status === status).length);
      }
      expect(stats.byStatus[build.status]).toBe(1);
      const failures = unwrap(await ada.builds.listFailures({ buildId: id, limit: 100 })).items;
      expect(stats.failures.reduce((sum, { count }) => sum + count, 0)).toBe(failures.length);
      expect((await keysOfBuilds()).some((key) => key.startsWith('#BA'))).toBe(build.status === 'running');
    });
  });
});
