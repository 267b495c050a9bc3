import { randomBytes } from 'node:crypto';

import { TransactGetItemsCommand } from '@aws-sdk/client-dynamodb';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { createVivarium, localKeyring, unwrap } from '@vivarium/core';
import type { App, Client, Preview } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { loopbackPreviews, seededRandom } from '@vivarium/testing';
import type { LoopbackPreviews } from '@vivarium/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { dynamodbStorage } from '../src/index.ts';
import {
  deploymentKey,
  listedPreviewKey,
  messageKey,
  placeInProject,
  placeInRepo,
  placeOnBranch,
  previewKey,
  projectEnvironmentKey,
  upPreviewKey,
} from '../src/keys.ts';
import { clientAt, injectConflicts, makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

type Record = { readonly [attribute: string]: AttributeValue };

const keys = localKeyring({ keys: `one:${randomBytes(32).toString('base64')}` });
const branches = ['one', 'two', 'three'];
const sha = (digit: number) => String(digit).repeat(40);

/** Commands that the 24 clients send together. */
const commands = Number(process.env['VIVARIUM_TEST_RECORD_COMMANDS'] ?? 360);

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] previews', () => {
    let bench: Bench;
    let org: string;
    let outside: LoopbackPreviews;
    let ada: Client;
    let orgs = 0;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());
    beforeEach(() => {
      org = `org-${++orgs}`;
      outside = loopbackPreviews();
      ada = bench.as(org, { keys, previews: { ...outside.ports, forks: 'without_secrets' } });
    });
    afterEach(() => bench.client.middlewareStack.remove('broken'));

    async function makeApp(name = 'Shop', fullName = 'acme/shop'): Promise<App> {
      const { id: projectId } = unwrap(await ada.projects.create({ name }));
      const { id: repoId } = unwrap(await ada.deployments.repos.register({ provider: 'github', fullName }));
      return unwrap(await ada.deployments.apps.create({ projectId, repoId, name }));
    }
    const ask = async ({ id: appId }: App, pullRequest: number, branch = 'one', client = ada) =>
      unwrap(await client.previews.create({ appId, pullRequest, branch, sha: sha(1) }));
    const deliver = async () => {
      for (const message of outside.take(org)) await ada.previews.handle(message);
    };
    /** What there is in the org besides journal and outbox. */
    const itemsLeft = async () =>
      [...(await bench.items()), ...(await bench.secretItems())]
        .map(({ pk, sk }) => `${pk!.S} ${sk!.S}`)
        .filter((key) => key.startsWith(`${org}#`) && !/^[^#]+#(J|Q|K|TREE)[# ]/.test(key))
        .sort();

    /** All records of a preview, with its newest deployments, as they were at one instant. */
    async function recordsOf({ id, environment, appId, projectId, repoId, createdAt }: Preview, newest: number) {
      const of = { id, environment, projectId, repoId };
      const wanted = [
        projectEnvironmentKey(org, id),
        previewKey(org, id),
        placeInProject(org, of),
        placeInRepo(org, of),
        listedPreviewKey(org, appId, { createdAt, id }),
        upPreviewKey(org, id),
        messageKey(org, id),
        ...branches.map((branch) => placeOnBranch(org, branch, of)),
        ...[newest, newest + 1]
          .map((sequence) => deploymentKey(org, id, Math.max(1, sequence)))
          .slice(newest < 1 ? 1 : 0),
      ];
      const { Responses = [] } = await bench.client.send(
        new TransactGetItemsCommand({
          TransactItems: wanted.map(({ pk, sk }) => ({
            Get: { TableName: bench.table, Key: { pk: { S: pk }, sk: { S: sk } } },
          })),
        }),
      );
      const [own, preview, ofProject, ofRepo, listed, up, message, ...rest] = Responses.map(({ Item }) => Item);
      const onBranches = rest.slice(0, branches.length).filter((record) => record !== undefined);
      return {
        own,
        preview,
        ofProject,
        ofRepo,
        listed,
        up,
        message,
        onBranches,
        deployments: rest.slice(branches.length),
      };
    }
    const said = ({ pk: _pk, sk: _sk, latest: _latest, active: _active, ...rest }: Record) => rest;
    const inLists = ({ pk: _pk, sk: _sk, ...rest }: Record) => rest;
    const idTold = (record: Record | undefined, attribute: string) => {
      const told = record?.[attribute]?.S;
      return told === undefined ? undefined : (JSON.parse(told) as string[])[0];
    };

    /** What does not belong together; `null` where everything does. */
    function differenceIn(records: Awaited<ReturnType<typeof recordsOf>>): string | null {
      const { own, preview, ofProject, ofRepo, listed, up, message, onBranches, deployments } = records;
      if (own === undefined || preview === undefined || ofProject === undefined || ofRepo === undefined)
        return 'a record is missing';
      const copies = [ofProject, ofRepo, ...onBranches];
      const branch = own['branch']!.S!;
      if (onBranches.length !== 1 || !onBranches[0]!['sk']!.S!.startsWith(`BR#${branch}#`)) return 'the branch';
      if (new Set([own, ...copies].map((record) => JSON.stringify(sorted(said(record))))).size > 1) return 'copies';
      if (new Set(copies.map((record) => JSON.stringify(sorted(inLists(record))))).size > 1) return 'lists';
      if (preview['version']!.N !== own['version']!.N) return 'versions';
      const told = JSON.parse(preview['told']!.S!) as { branch: string; status: string; run: string | null };
      if (told.branch !== branch) return 'the branch of the preview';
      if (listed?.['status']?.S !== told.status) return 'the status in the list';
      if ((up === undefined) !== (told.status === 'stopped' || told.status === 'deleted')) return 'what is up';
      if (message !== undefined && Number(message['sequence']!.N) > Number(own['version']!.N)) return 'the message';
      if (idTold(preview, 'run') !== (told.run ?? undefined)) return 'the run';
      if (idTold(own, 'active') !== own['activeId']?.S) return 'the active one';
      if (idTold(ofProject, 'latest') !== own['latestId']?.S) return 'the latest';
      for (const deployment of deployments) {
        if (deployment === undefined) continue;
        const { id, told: itself } = { id: deployment['id']!.S!, told: deployment['told']!.S! };
        if (idTold(preview, 'run') === id && preview['run']!.S !== itself) return 'the deployment of the run';
        if (own['latestId']?.S === id && ofProject['latest']!.S !== itself) return 'the deployment in the lists';
        if (own['activeId']?.S === id && own['active']!.S !== itself) return 'the deployment that is live';
      }
      return null;
    }

    test(
      `the records of a preview are never seen apart, in ${commands} commands of 24 clients`,
      { timeout: 60_000 + commands * 400 },
      async () => {
        const app = await makeApp();
        const first = [await ask(app, 1), await ask(app, 2)];
        const conflicting = clientAt(engine.url);
        injectConflicts(conflicting, 0.05);
        let left = commands;
        let going = 24;
        let changes = 0;
        const work = async (worker: number) => {
          const random = seededRandom(worker);
          // Each is what a process of its own would be: only the conditions of the writes keep them apart.
          const storage = dynamodbStorage({ client: conflicting, table: bench.table });
          const previews = { ...outside.ports, forks: 'without_secrets' as const };
          const client = createVivarium({ storage, keys, previews }).as({ org, type: 'user', id: `worker ${worker}` });
          while (left-- > 0) {
            const { id, pullRequest } = random.pick(first);
            const branch = random.pick(branches);
            const wanted = { appId: app.id, pullRequest: pullRequest!, branch, sha: sha(random.integer(3)) };
            const report = (status: 'tests_started' | 'running' | 'error') => async () => {
              const run = (await client.previews.get(id)).map(({ generation }) => generation).unwrapOr(0);
              return client.previews.report(outside.report(`${id}-${run}`, { status }));
            };
            const done = await random
              .pick([
                async () => client.previews.create(wanted),
                async () => client.previews.create(wanted),
                async () => client.previews.restart(id),
                async () => (random.integer(3) === 0 ? client.previews.stop(id) : client.previews.restart(id)),
                async () => client.previews.remove(id),
                report('tests_started'),
                report('running'),
                report('running'),
                report('error'),
                async () => client.previews.handle(outside.take(org)[0]!),
                async () => client.previews.handle(outside.take(org)[0]!),
                async () => client.previews.handle(outside.take(org)[0]!),
                async () => client.previews.sweep(),
              ])()
              // A run that no runtime has been made for yet cannot report, and the queue may be empty.
              .catch(() => null);
            if (done?.isOk() === true) changes++;
          }
          going--;
        };
        const differences: unknown[] = [];
        let looks = 0;
        const runs = new Set<number>();
        const statuses = new Set<string>();
        const look = async (before: Preview) => {
          for (let newest = 0; going > 0; looks++) {
            const records = await recordsOf(before, newest);
            newest = Number(records.own?.['deployments']?.N ?? 0);
            const difference = differenceIn(records);
            if (difference !== null) differences.push([difference, records]);
            const facts = unwrap(await bench.storage.previews.facts(org, before.id)).found!;
            if (facts.preview.version !== facts.environment.version) differences.push(['facts', facts]);
            if (facts.preview.run !== (facts.run?.id ?? null)) differences.push(['the run of the facts', facts]);
            runs.add(facts.preview.generation);
            statuses.add(facts.preview.status);
          }
        };
        await Promise.all([
          ...Array.from({ length: 24 }, (_, worker) => work(worker + 1)),
          ...[...first, ...first].map((preview) => look(preview)),
        ]);
        conflicting.destroy();
        expect([differences.length, differences[0]]).toEqual([0, undefined]);
        expect(changes).toBeGreaterThan(commands / 4);
        expect(looks).toBeGreaterThan(commands / 10);
        expect(runs.size).toBeGreaterThan(3);
        expect(statuses.size).toBeGreaterThan(3);

        // What is counted is what there is.
        const items = (await bench.items()).filter(({ pk }) => pk!.S!.startsWith(`${org}#`));
        const live = items.filter(({ sk, runtime }) => sk!.S === 'P' && runtime !== undefined).length;
        const counts = items
          .filter(({ runtimes }) => runtimes !== undefined)
          .map(({ runtimes }) => Number(runtimes!.N));
        expect(counts).toEqual([live, live, live]);
      },
    );

    describe('a deletion that breaks down has happened, and the next one finishes it', () => {
      /** Lets no request of this kind through, from the one with this number on. */
      const breakDown = (operation: string, from: number) => {
        let count = 0;
        bench.client.middlewareStack.add(
          (next, context) => async (args) => {
            if (context.commandName === operation && ++count >= from) {
              throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
            }
            return next(args);
          },
          { step: 'initialize', name: 'broken' },
        );
      };
      const later = () =>
        bench.as(org, {
          keys,
          clock: { now: () => new Date(Date.now() + 3_600_000) },
          previews: { ...outside.ports, forks: 'without_secrets' },
        });

      test.each([
        ['TransactWriteItemsCommand', 2],
        ['TransactWriteItemsCommand', 5],
        ['BatchWriteItemCommand', 1],
        ['BatchWriteItemCommand', 4],
      ] as const)('of an app, at %s %i', async (operation, at) => {
        const other = await makeApp('Other', 'acme/other');
        unwrap(await ada.previews.secrets.set({ appId: other.id, environmentType: 'preview', name: 'A', value: 'b' }));
        await ask(other, 1);
        await deliver();
        const others = await itemsLeft();

        const app = await makeApp();
        const { id: appId, projectId, repoId } = app;
        for (const environmentType of ['preview', 'production'] as const) {
          unwrap(await ada.previews.secrets.set({ appId, environmentType, name: 'A', value: 'b' }));
        }
        const previews: Preview[] = [];
        for (let pullRequest = 1; pullRequest <= 6; pullRequest++) previews.push(await ask(app, pullRequest));
        await deliver();
        for (const { id } of previews) unwrap(await ada.previews.stop(id));
        await deliver();
        // One was never told to a worker.
        outside.before('send', () => Promise.reject(new Error('no queue')));
        unwrap(await ada.previews.restart(previews[0]!.id));

        breakDown(operation, at);
        unwrap(await ada.deployments.apps.delete(appId));
        expect((await itemsLeft()).length).toBeGreaterThan(others.length + 2);
        const stored = bench.storage.previews;
        for (const { id } of previews) {
          expect(unwrap(await stored.facts(org, id)).found).toBe(null);
          expect((await ada.previews.restart(id)).isErr()).toBe(true);
        }
        const long = new Date(Date.now() + 86_400_000);
        const range = { limit: 10, after: null };
        const due = unwrap(await stored.due(org, { now: long, askedBy: long, ...range }));
        expect(due.map((preview) => preview.appId)).toEqual([other.id]);
        expect(unwrap(await stored.unsent(org, range))).toEqual([]);
        expect(unwrap(await stored.list(org, { appId }, range))).toBe(null);
        expect(unwrap(await stored.secrets(org, { appId, type: 'preview' }))).toEqual([]);
        const secret = unwrap(await stored.secretFacts(org, { appId, type: 'preview', name: 'A' }));
        expect(secret).toEqual({ app: false, found: null, key: null });
        expect(unwrap(await bench.storage.dataKeys.ofScope(org, { type: 'app', id: appId }))).toEqual([]);
        bench.client.middlewareStack.remove('broken');

        // The next app of the two has previews of the same names.
        const next = unwrap(await ada.deployments.apps.create({ projectId, repoId, name: 'Next' }));
        const again = await ask(next, 1);
        expect(previews.map(({ id }) => id)).not.toContain(again.id);
        expect(unwrap(await ada.previews.list({ appId: next.id })).items.map(({ id }) => id)).toEqual([again.id]);

        unwrap(await later().deployments.apps.delete(next.id));
        unwrap(await ada.projects.delete(projectId));
        unwrap(await ada.deployments.repos.delete(repoId));
        expect(await itemsLeft()).toEqual(others);
      });
    });

    test('data keys and secrets that are added while their app is deleted do not stay behind', async () => {
      const { id: projectId } = unwrap(await ada.projects.create({ name: 'Shop' }));
      for (let round = 0; round < 12; round++) {
        const fullName = `acme/shop-${round}`;
        const { id: repoId } = unwrap(await ada.deployments.repos.register({ provider: 'github', fullName }));
        const { id: appId } = unwrap(await ada.deployments.apps.create({ projectId, repoId, name: 'Shop' }));
        const set = async (name: string) =>
          ada.previews.secrets.set({ appId, environmentType: 'preview', name, value: 'hidden' });
        await Promise.all([
          ...Array.from({ length: 4 }, (_, index) => set(`S${index}`)),
          (async () => {
            for (let wait = 0; wait < round; wait++) await ada.deployments.apps.get(appId);
            unwrap(await ada.deployments.apps.delete(appId));
          })(),
        ]);
        expect((await itemsLeft()).filter((key) => key.includes(appId))).toEqual([]);
      }
      expect((await itemsLeft()).filter((key) => key.startsWith(`${org}#KD`))).toEqual([]);
    });

    test('a page of a list is a query and a batch, whatever its status, and so are its messages', async () => {
      const app = await makeApp();
      for (let pullRequest = 1; pullRequest <= 12; pullRequest++) await ask(app, pullRequest);
      const seen: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = { appId: app.id, status: 'initializing' as const, limit: 5, cursor: cursor ?? undefined };
        const { operations, value } = await bench.traffic(async () => ada.previews.list(page));
        expect(operations).toEqual(['Query', 'BatchGetItem']);
        const { items, nextCursor } = unwrap(value);
        seen.push(...items.map(({ environment }) => environment));
        cursor = nextCursor;
      }
      expect(seen).toEqual(Array.from({ length: 12 }, (_, index) => `pr-${12 - index}`));
    });

    test('a write that guesses wrongly whether there was a runtime is sent again, and counts rightly', async () => {
      const app = await makeApp();
      const { id } = await ask(app, 1);
      const { previews } = bench.storage;
      const facts = unwrap(await previews.facts(org, id)).found!;
      const counts = async () =>
        (await bench.items())
          .filter(({ pk, runtimes }) => pk!.S!.startsWith(`${org}#`) && runtimes !== undefined)
          .map(({ runtimes }) => Number(runtimes!.N));
      let version = facts.preview.version;
      const write = async (status: Preview['status'], hasRuntime: boolean) => {
        const at = new Date();
        const entryId = `${id}-${++version}`;
        const preview = { ...facts.preview, status, hasRuntime, version };
        const written = await previews.write({
          preview,
          environment: { ...facts.environment, version },
          deployments: [],
          message: null,
          expectedVersion: version - 1,
          previousBranch: facts.environment.branch,
          change: {
            orgId: org,
            at,
            key: null,
            entry: {
              id: entryId,
              orgId: org,
              subject: { type: 'test', id },
              stream: entryId,
              sequence: 1,
              action: 'tested',
              actor: { type: 'user', id: 'ada' },
              at,
              data: {},
            },
          },
        });
        expect(unwrap(written)).toEqual({ done: true });
      };
      for (const [status, hasRuntime] of [
        ['running', true],
        ['initializing', true],
        ['initializing', true],
        ['error', true],
        ['error', false],
        ['stopped', false],
        ['running', true],
        ['initializing', false],
        ['initializing', true],
        ['stopped', false],
      ] as const) {
        await write(status, hasRuntime);
        const count = hasRuntime ? 1 : 0;
        expect(await counts()).toEqual([count, count, count]);
        const refused = await ada.deployments.apps.delete(app.id, { expectedVersion: 99 });
        expect(refused.isErr()).toBe(true);
        const deleted = hasRuntime ? await ada.deployments.apps.delete(app.id) : null;
        if (deleted !== null) expect(deleted._unsafeUnwrapErr().code).toBe('has_live_previews');
      }
    });
  });
});

function sorted(record: object): [string, unknown][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
