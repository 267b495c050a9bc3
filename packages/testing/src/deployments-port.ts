import { randomUUID } from 'node:crypto';
import { unwrap } from '@vivarium/core';
import type { App, Deployment, StoredProjectEnvironment, StoredRepo } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { tally, together } from './answers.ts';
import { appOf, deploymentWriterOf, environmentOf, going, repoNamed, starting } from './deployments-stored.ts';
import type { Pair } from './deployments-stored.ts';
import { afterMs, changeIn, dataKey, made, newKey, next } from './ephemeral-making.ts';
import type { Suite } from './suite.ts';

const done = { done: true };
const refused = (by: string) => ({ done: false, refused: by });
const first = { limit: 100, after: null };
const answersOf = (answers: readonly ({ done: true } | { done: false; refused: string })[]) =>
  tally(answers.map((answer) => (answer.done ? 'done' : answer.refused)));

/** The port of deployments, asked without the services in front of it: each method by its contract, then what holds among many. */
export function testDeploymentsPort(suite: Suite): void {
  const port = () => suite.harness.storage.deployments;

  describe('the port of deployments', () => {
    test('a repository is read back as it was written, by id and by name, in its own org', async () => {
      const [org, other] = [suite.newOrg(), suite.newOrg()];
      const wide = Array.from({ length: 9 }, () => 'x'.repeat(100)).join('/');
      const repo = repoNamed(wide, {
        provider: 'a-provider-of-thirty-two-letters',
        defaultBranch: ` "🧪"\\${'語'.repeat(250)}`,
      });
      const key = newKey();
      expect(await unwrap(port().createRepo({ repo, change: changeIn(org, key) }))).toEqual(done);
      expect(await unwrap(port().getRepo(org, repo.id))).toEqual({ found: repo, key: null });
      const kept = { fingerprint: 'print', result: { id: 'made' }, expiresAt: key.expiresAt };
      expect(await unwrap(port().getRepo(org, repo.id, key.id))).toEqual({ found: repo, key: kept });
      const byName = (of: string, provider: string, nameKey: string, keyId?: typeof key.id) =>
        unwrap(port().getRepoByName(of, provider, nameKey, keyId));
      expect(await byName(org, repo.provider, repo.nameKey)).toEqual({ found: repo, key: null });
      expect(await byName(org, repo.provider, repo.nameKey, key.id)).toEqual({ found: repo, key: kept });
      expect(await byName(org, repo.provider, 'x')).toEqual({ found: null, key: null });
      expect(await byName(org, 'x', repo.nameKey, key.id)).toEqual({ found: null, key: kept });
      expect(await byName(other, repo.provider, repo.nameKey)).toEqual({ found: null, key: null });
      expect(await unwrap(port().getRepo(other, repo.id, key.id))).toEqual({ found: null, key: null });
      expect(await unwrap(port().listRepos(org, first))).toEqual({ items: [repo], more: false });
      expect(await unwrap(port().listRepos(other, first))).toEqual({ items: [], more: false });
    });

    test('a name is one repository of its provider; a version that is not there is stale, and what is not there is not found', async () => {
      const { org, write } = writing();
      const repo = await write.repo('acme/shop');
      const entries = await suite.harness.raw.count('journal', org);
      const refusedCreate = await unwrap(
        port().createRepo({ repo: repoNamed('ACME/shop'), change: changeIn(org, newKey()) }),
      );
      expect(refusedCreate).toEqual(refused('stale'));
      const put = (changed: StoredRepo, expectedVersion: number, of = org) =>
        unwrap(port().writeRepo({ repo: changed, expectedVersion, change: changeIn(of, newKey()) }));
      const remove = (gone: StoredRepo, of = org) =>
        unwrap(port().deleteRepo({ repo: gone, change: changeIn(of, newKey()) }));
      const nowhere = repoNamed('acme/nowhere');
      const foreign = suite.newOrg();
      const changed = next(repo, { fullName: 'Acme/Shop', defaultBranch: 'x' });
      for (const [answer, by] of [
        [await put(nowhere, 1), 'not_found'],
        [await put(changed, 2), 'stale'],
        [await put(changed, 1, foreign), 'not_found'],
        [await remove(nowhere), 'not_found'],
        [await remove(changed), 'stale'],
        [await remove(repo, foreign), 'not_found'],
      ] as const) {
        expect(answer).toEqual(refused(by));
      }
      expect((await unwrap(port().getRepo(org, repo.id))).found).toEqual(repo);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      expect(await put(changed, 1)).toEqual(done);
      expect((await unwrap(port().getRepoByName(org, 'github', 'acme/shop'))).found).toEqual(changed);
      expect(await remove(changed)).toEqual(done);
      expect((await unwrap(port().getRepoByName(org, 'github', 'acme/shop'))).found).toBe(null);
      await write.repo('acme/shop');
      await write.repo('acme/shop', { provider: 'gitlab' });
    });

    test('repositories come by the bytes of provider, then name', async () => {
      const { org, write } = writing();
      const names = ['a-b/c', 'a.b/c', 'a/b', 'a/b/c', 'a_b/c', 'ab/c', 'z/a'];
      const all = [];
      for (const provider of ['git-lab', 'git', 'github']) {
        for (const name of names.toReversed()) all.push(await write.repo(name, { provider }));
      }
      const place = ({ provider, nameKey }: StoredRepo) => `${provider}\0${nameKey}`;
      const sorted = all.toSorted((a, b) => Buffer.compare(Buffer.from(place(a)), Buffer.from(place(b))));
      expect((await unwrap(port().listRepos(org, first))).items).toEqual(sorted);
      for (const [index, { provider, nameKey }] of sorted.entries()) {
        const page = await unwrap(port().listRepos(org, { limit: 4, after: { provider, nameKey } }));
        expect(page).toEqual({ items: sorted.slice(index + 1, index + 5), more: index + 5 < sorted.length });
      }
    });

    test('an app is read back as it was written, is one of its pair, and is listed by name, then id', async () => {
      const { org, pair, write, anotherPair } = await withPair();
      expect(await unwrap(port().appFacts(org, pair))).toEqual({ project: true, repo: true, key: null });
      const nowhere = randomUUID();
      for (const [asked, facts] of [
        [
          { ...pair, projectId: nowhere },
          { project: false, repo: true },
        ],
        [
          { ...pair, repoId: nowhere },
          { project: true, repo: false },
        ],
      ] as const) {
        expect(await unwrap(port().appFacts(org, asked))).toEqual({ ...facts, key: null });
        expect(await unwrap(port().createApp({ app: appOf(asked), change: changeIn(org, newKey()) }))).toEqual(
          refused('gone'),
        );
      }
      expect(await unwrap(port().appFacts(suite.newOrg(), pair))).toEqual({ project: false, repo: false, key: null });

      const app = appOf(pair, { name: '𐐨'.repeat(100), entrypoint: ` ${'語'.repeat(253)}\n` });
      const key = newKey();
      expect(await unwrap(port().createApp({ app, change: changeIn(org, key) }))).toEqual(done);
      expect(await unwrap(port().getApp(org, app.id))).toEqual({ found: app, key: null });
      expect((await unwrap(port().getApp(org, app.id, key.id))).key).toMatchObject({ fingerprint: 'print' });
      expect((await unwrap(port().appFacts(org, pair, key.id))).key).toMatchObject({ fingerprint: 'print' });
      expect(await unwrap(port().getApp(suite.newOrg(), app.id))).toEqual({ found: null, key: null });
      const second = appOf(pair, { name: 'another name' });
      expect(await unwrap(port().createApp({ app: second, change: changeIn(org, newKey()) }))).toEqual(
        refused('exists'),
      );
      expect(await unwrap(port().createApp({ app: appOf(pair), change: changeIn(suite.newOrg()) }))).toEqual(
        refused('gone'),
      );

      const others = [];
      for (const name of ['b', 'b', 'a', 'b']) others.push(await write.app(await anotherPair(), { name }));
      const inOrder = [...others, app].toSorted((a, b) => byBytes(a.name, b.name) || byBytes(a.id, b.id));
      expect(await unwrap(port().listApps(org, {}, first))).toEqual({ items: inOrder, more: false });
      for (const [index, { name, id }] of inOrder.entries()) {
        const page = await unwrap(port().listApps(org, {}, { limit: 2, after: { name, id } }));
        expect(page).toEqual({ items: inOrder.slice(index + 1, index + 3), more: index + 3 < inOrder.length });
      }
      for (const one of inOrder) {
        const { projectId, repoId } = one;
        expect((await unwrap(port().listApps(org, { projectId, repoId }, first))).items).toEqual([one]);
        expect((await unwrap(port().listApps(org, { projectId }, first))).items).toEqual([one]);
        expect((await unwrap(port().listApps(org, { repoId }, first))).items).toEqual([one]);
      }
      expect((await unwrap(port().listApps(suite.newOrg(), pair, first))).items).toEqual([]);

      const put = (changed: App, expectedVersion: number) =>
        unwrap(port().writeApp({ app: changed, expectedVersion, change: changeIn(org) }));
      const remove = (gone: App) => unwrap(port().deleteApp({ app: gone, change: changeIn(org) }));
      const renamed = next(app, { name: 'a', entrypoint: null });
      expect(await put(second, 1)).toEqual(refused('not_found'));
      expect(await put(renamed, 2)).toEqual(refused('stale'));
      expect(await remove(renamed)).toEqual(refused('stale'));
      expect(await remove(second)).toEqual(refused('not_found'));
      expect(await put(renamed, 1)).toEqual(done);
      expect((await unwrap(port().listApps(org, pair, first))).items).toEqual([renamed]);
      expect(await remove(renamed)).toEqual(done);
      expect((await unwrap(port().getApp(org, app.id))).found).toBe(null);
      expect((await unwrap(port().listApps(org, { projectId: pair.projectId }, first))).items).toEqual([]);
      await write.app(pair);
    });

    test('an environment is read back as it was written, wherever it is looked for', async () => {
      const { org, pair, write } = await withPair();
      const environment = environmentOf(pair, `${'a/b_c.d-'.repeat(12)}1234`, {
        type: 'preview',
        branch: ` "🧪"\\${'語'.repeat(250)}`,
        pullRequest: 2_147_483_647,
        createdAt: new Date('1000-01-01T00:00:00.001Z'),
        updatedAt: new Date('9999-12-31T23:59:59.999Z'),
      });
      const named = { ...pair, environment: environment.environment };
      expect(await unwrap(port().ensureFacts(org, named))).toEqual({
        project: true,
        repo: true,
        environment: null,
        key: null,
      });
      const key = newKey();
      expect(await unwrap(port().createEnvironment({ environment, change: changeIn(org, key) }))).toEqual(done);
      expect(await unwrap(port().getEnvironment(org, environment.id))).toEqual({ found: environment, key: null });
      expect((await unwrap(port().getEnvironment(org, environment.id, key.id))).key).toMatchObject({
        fingerprint: 'print',
      });
      expect(await unwrap(port().getEnvironmentByName(org, named))).toEqual(environment);
      expect(await unwrap(port().ensureFacts(org, named, key.id))).toEqual({
        project: true,
        repo: true,
        environment,
        key: { fingerprint: 'print', result: { id: 'made' }, expiresAt: key.expiresAt },
      });
      const inList = { items: [{ ...environment, latest: null }], more: false };
      const { projectId, repoId } = pair;
      const branch = environment.branch!;
      expect(await unwrap(port().listEnvironments(org, { projectId }, first))).toEqual(inList);
      expect(await unwrap(port().listEnvironments(org, { repoId, type: 'preview' }, first))).toEqual(inList);
      expect(await unwrap(port().listByBranch(org, { repoId, branch }, first))).toEqual(inList);

      const foreign = suite.newOrg();
      expect((await unwrap(port().getEnvironment(foreign, environment.id))).found).toBe(null);
      expect(await unwrap(port().getEnvironmentByName(foreign, named))).toBe(null);
      expect(await unwrap(port().ensureFacts(foreign, named))).toEqual({
        project: false,
        repo: false,
        environment: null,
        key: null,
      });
      for (const filter of [{ projectId }, { repoId }, { projectId, repoId }]) {
        expect((await unwrap(port().listEnvironments(foreign, filter, first))).items).toEqual([]);
      }
      expect((await unwrap(port().listByBranch(foreign, { repoId, branch }, first))).items).toEqual([]);
      expect(
        (await unwrap(port().startFacts(foreign, { projectEnvironmentId: environment.id, configurationId: null })))
          .found,
      ).toBe(null);

      const driven = await write.environment(pair, 'driven', { managedBy: (await write.app(pair)).id });
      expect((await unwrap(port().getEnvironment(org, driven.id))).found).toEqual(driven);
      for (const type of ['production', 'staging', 'development', 'preview', 'other'] as const) {
        const one = await write.environment(pair, type, { type });
        expect(await unwrap(port().getEnvironmentByName(org, { ...pair, environment: type }))).toEqual(one);
      }
    });

    test('an environment that is refused leaves nothing, and one that changes is found under what it is now', async () => {
      const { org, pair, write } = await withPair();
      const environment = await write.environment(pair, 'x', { branch: 'old' });
      const entries = await suite.harness.raw.count('journal', org);
      const nowhere = randomUUID();
      const create = (candidate: StoredProjectEnvironment, of = org) =>
        unwrap(port().createEnvironment({ environment: candidate, change: changeIn(of, newKey()) }));
      const put = (changed: StoredProjectEnvironment, expectedVersion: number, of = org) =>
        unwrap(
          port().writeEnvironment({
            environment: changed,
            previousBranch: environment.branch,
            expectedVersion,
            change: changeIn(of, newKey()),
          }),
        );
      const remove = (gone: StoredProjectEnvironment, of = org) =>
        unwrap(port().deleteEnvironment({ environment: gone, change: changeIn(of, newKey()) }));
      const changed = next(environment, { branch: 'new', type: 'staging', pullRequest: 7 });
      const foreign = suite.newOrg();
      for (const [answer, by] of [
        [await create(environmentOf(pair, 'x', { branch: 'another' })), 'stale'],
        [await create(environmentOf({ ...pair, projectId: nowhere }, 'y')), 'gone'],
        [await create(environmentOf({ ...pair, repoId: nowhere }, 'y')), 'gone'],
        [await create(environmentOf(pair, 'y'), foreign), 'gone'],
        [await put(changed, 2), 'stale'],
        [await put({ ...changed, id: nowhere }, 1), 'not_found'],
        [await put(changed, 1, foreign), 'not_found'],
        [await remove(changed), 'stale'],
        [await remove({ ...environment, id: nowhere }), 'not_found'],
        [await remove(environment, foreign), 'not_found'],
      ] as const) {
        expect(answer).toEqual(refused(by));
      }
      const { projectId, repoId } = pair;
      const listed = async () => (await unwrap(port().listEnvironments(org, { projectId }, first))).items;
      const onBranch = async (branch: string) =>
        (await unwrap(port().listByBranch(org, { repoId, branch }, first))).items.map(({ id }) => id);
      expect(await listed()).toEqual([{ ...environment, latest: null }]);
      expect(await onBranch('another')).toEqual([]);
      expect(await onBranch('new')).toEqual([]);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);

      expect(await put(changed, 1)).toEqual(done);
      expect(await listed()).toEqual([{ ...changed, latest: null }]);
      expect([await onBranch('old'), await onBranch('new')]).toEqual([[], [environment.id]]);
      const without = next(changed, { branch: null });
      const away = await unwrap(
        port().writeEnvironment({
          environment: without,
          previousBranch: 'new',
          expectedVersion: 2,
          change: changeIn(org),
        }),
      );
      expect(away).toEqual(done);
      expect(await onBranch('new')).toEqual([]);
      expect((await unwrap(port().getEnvironment(org, environment.id))).found).toEqual(without);
      expect(await remove(without)).toEqual(done);
      expect(await unwrap(port().getEnvironmentByName(org, { ...pair, environment: 'x' }))).toBe(null);
      expect(await listed()).toEqual([]);
      await write.environment(pair, 'x', { branch: 'old' });
      expect(await onBranch('old')).toHaveLength(1);
    });

    test('environments come by the bytes of their names, then by id, with the deployment that started last', async () => {
      const { org, pair, write, anotherPair } = await withPair();
      const { repoId } = pair;
      const sameRepo = { ...(await anotherPair()), repoId };
      const all = [];
      for (const pairing of [pair, sameRepo]) {
        for (const name of ['a-b', 'a.b', 'a/b', 'a0', 'a_b', 'aa', 'pr-10', 'pr-2']) {
          const environment = await write.environment(pairing, name, { branch: name < 'b' ? 'main' : 'other' });
          const { environment: now, deployment: latest } = await write.start(environment);
          all.push(name === 'aa' ? await twice(write, now) : { ...now, latest });
        }
      }
      const inOrder = all.toSorted((a, b) => byBytes(a.environment, b.environment) || byBytes(a.id, b.id));
      expect(await unwrap(port().listEnvironments(org, { repoId }, first))).toEqual({ items: inOrder, more: false });
      const onMain = inOrder.filter(({ branch }) => branch === 'main');
      for (const [index, { environment: name, id }] of onMain.entries()) {
        const page = await unwrap(
          port().listByBranch(org, { repoId, branch: 'main' }, { limit: 3, after: { name, id } }),
        );
        expect(page).toEqual({ items: onMain.slice(index + 1, index + 4), more: index + 4 < onMain.length });
      }
      const mine = inOrder.filter(({ projectId }) => projectId === pair.projectId);
      const page = await unwrap(port().listEnvironments(org, { ...pair, type: 'other' }, { limit: 7, after: null }));
      expect(page).toEqual({ items: mine.slice(0, 7), more: true });
      expect(await unwrap(port().listEnvironments(org, { ...pair, type: 'staging' }, first))).toEqual({
        items: [],
        more: false,
      });
    });

    test('a deployment is read back as it was written, with its environment and the one that is live', async () => {
      const { org, pair, write } = await withPair();
      const environment = await write.environment(pair, 'x', { branch: 'main' });
      const configuration = { environmentId: randomUUID(), version: 2_147_483_647, digest: 'd'.repeat(64) };
      const begun = await write.start(environment, {
        gitRef: ` "🧪"\\${'語'.repeat(250)}`,
        sha: '0123456789abcdef'.repeat(4),
        url: `https://example.com/${'é'.repeat(1_900)}`,
        description: '𐐨'.repeat(500),
        rollbackOf: randomUUID(),
        configuration,
        createdBy: { type: 'πράκτορας ', id: ' "🧪"\\' },
        deadline: new Date('9999-12-31T23:59:59.999Z'),
        createdAt: new Date('1000-01-01T00:00:00.001Z'),
        startedAt: afterMs(1),
        endedAt: afterMs(2),
        updatedAt: afterMs(3),
        status: 'running',
      });
      const { deployment } = begun;
      const facts = (id: string) => unwrap(port().facts(org, id));
      expect(await unwrap(port().get(org, deployment.id))).toEqual(deployment);
      expect(await facts(deployment.id)).toEqual({
        found: { deployment, environment: begun.environment, active: null },
        key: null,
      });
      expect(await unwrap(port().latest(org, environment.id))).toEqual({ environment: true, deployment });
      expect(await unwrap(port().history(org, environment.id, first))).toEqual({ items: [deployment], more: false });

      const live = await write.go(begun, 'success');
      expect(await facts(deployment.id)).toEqual({
        found: { deployment: live.deployment, environment: live.environment, active: live.deployment },
        key: null,
      });
      const second = await write.start(live.environment);
      expect((await facts(second.deployment.id)).found?.active).toEqual(live.deployment);
      const over = await write.go(second, 'success', live.deployment);
      expect(await unwrap(port().get(org, deployment.id))).toEqual({ ...over.replaced });
      expect(over.replaced?.status).toBe('inactive');
      expect((await facts(deployment.id)).found).toEqual({
        deployment: over.replaced,
        environment: over.environment,
        active: over.deployment,
      });
      const history = { items: [over.deployment, over.replaced], more: false };
      expect(await unwrap(port().history(org, environment.id, first))).toEqual(history);
      expect((await unwrap(port().listByBranch(org, { repoId: pair.repoId, branch: 'main' }, first))).items).toEqual([
        { ...over.environment, latest: over.deployment },
      ]);

      const foreign = suite.newOrg();
      expect(await unwrap(port().get(foreign, deployment.id))).toBe(null);
      expect(await unwrap(port().facts(foreign, deployment.id))).toEqual({ found: null, key: null });
      expect(await unwrap(port().latest(foreign, environment.id))).toEqual({ environment: false, deployment: null });
      expect(await unwrap(port().history(foreign, environment.id, first))).toBe(null);
      expect(await unwrap(port().history(org, randomUUID(), first))).toBe(null);
      const empty = await write.environment(pair, 'empty');
      expect(await unwrap(port().latest(org, empty.id))).toEqual({ environment: true, deployment: null });
      expect(await unwrap(port().history(org, empty.id, first))).toEqual({ items: [], more: false });
    });

    test('a move that is refused leaves environment, deployment and the one that is live as they are', async () => {
      const { org, pair, write } = await withPair();
      const environment = await write.environment(pair, 'x');
      const live = await write.go(await write.start(environment), 'success');
      const begun = await write.start(live.environment);
      const entries = await suite.harness.raw.count('journal', org);
      const to = going(begun, 'success', live.deployment);
      const { version } = begun.environment;
      const move = (moved: typeof to, adds: boolean, expectedVersion: number, of = org) =>
        unwrap(port().move({ ...moved, adds, expectedVersion, change: changeIn(of, newKey()) }));
      const third = starting(begun.environment);
      const nowhere = environmentOf(pair, 'nowhere');
      for (const [answer, by] of [
        [await move(to, false, version - 1), 'stale'],
        [await move(to, false, version + 1), 'stale'],
        [await move(third, true, version - 1), 'stale'],
        [await move(third, true, version, suite.newOrg()), 'not_found'],
        [await move(starting(nowhere), true, 1), 'not_found'],
      ] as const) {
        expect(answer).toEqual(refused(by));
      }
      expect((await unwrap(port().facts(org, begun.deployment.id))).found).toEqual({
        deployment: begun.deployment,
        environment: begun.environment,
        active: live.deployment,
      });
      expect(await unwrap(port().get(org, third.deployment.id))).toBe(null);
      expect(await unwrap(port().history(org, environment.id, first))).toEqual({
        items: [begun.deployment, live.deployment],
        more: false,
      });
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);

      const key = newKey();
      const change = changeIn(org, key);
      expect(await unwrap(port().move({ ...to, adds: false, expectedVersion: version, change }))).toEqual(done);
      expect((await unwrap(port().facts(org, begun.deployment.id, key.id))).key).toMatchObject({
        fingerprint: 'print',
      });
      const of = { projectEnvironmentId: environment.id, configurationId: null };
      expect((await unwrap(port().startFacts(org, of, key.id))).key).toMatchObject({ fingerprint: 'print' });
      // A key that is taken comes before whatever else is wrong.
      const again = await unwrap(port().move({ ...third, adds: true, expectedVersion: 1, change: changeIn(org, key) }));
      expect(again).toMatchObject({ done: false, refused: 'key_taken', record: { fingerprint: 'print' } });
    });

    test('what a start is decided on: the environment, and a configuration of its project only', async () => {
      const { org, ada, pair, write, anotherPair } = await withPair();
      const environment = await write.environment(pair, 'x');
      const variables = [
        { key: 'B', value: 'ä' },
        { key: 'A', value: '1', description: 'd' },
      ];
      const make = (projectId: string) => unwrap(ada.environments.create({ projectId, name: 'C', variables }));
      const mine = await make(pair.projectId);
      const theirs = await make((await anotherPair()).projectId);
      const asked = (projectEnvironmentId: string, configurationId: string | null) =>
        unwrap(port().startFacts(org, { projectEnvironmentId, configurationId }));
      const found = { found: environment, key: null };
      expect(await asked(environment.id, null)).toEqual({ ...found, configuration: null });
      expect(await asked(environment.id, randomUUID())).toEqual({ ...found, configuration: null });
      expect(await asked(environment.id, theirs.id)).toEqual({ ...found, configuration: null });
      expect(await asked(environment.id, mine.id)).toEqual({ ...found, configuration: { version: 1, variables } });
      expect(await asked(randomUUID(), mine.id)).toEqual({ found: null, configuration: null, key: null });
    });

    test('a history comes newest first, page by page', async () => {
      const { org, pair, write } = await withPair();
      let environment = await write.environment(pair, 'x');
      const newestFirst: Deployment[] = [];
      for (let count = 0; count < 12; count++) {
        const begun = await write.start(environment);
        environment = begun.environment;
        newestFirst.unshift(begun.deployment);
      }
      expect(newestFirst[0]!.sequence).toBe(12);
      const page = (limit: number, after: number | null) =>
        unwrap(port().history(org, environment.id, { limit, after }));
      expect(await page(12, null)).toEqual({ items: newestFirst, more: false });
      expect(await page(11, null)).toEqual({ items: newestFirst.slice(0, 11), more: true });
      expect(await page(5, 10)).toEqual({ items: newestFirst.slice(3, 8), more: true });
      expect(await page(5, 100)).toEqual({ items: newestFirst.slice(0, 5), more: true });
      expect(await page(5, 1)).toEqual({ items: [], more: false });
    });

    test('due is what is under way at its deadline, in the order of ids', async () => {
      const { org, pair, write } = await withPair();
      const due: Deployment[] = [];
      for (const [index, status] of (
        ['created', 'running', 'success', 'failed', 'canceled', 'inactive'] as const
      ).entries()) {
        for (const ms of [0, 1]) {
          const environment = await write.environment(pair, `e${index}-${ms}`);
          const { deployment } = await write.start(environment, { status, deadline: afterMs(ms) });
          if (ms === 0 && index < 2) due.push(deployment);
        }
      }
      const inOrder = due.toSorted((a, b) => byBytes(a.id, b.id));
      const ask = (now: Date, limit: number, after: string | null = null) =>
        unwrap(port().due(org, { now, limit, after }));
      expect(await ask(made, 100)).toEqual(inOrder);
      expect(await ask(afterMs(-1), 100)).toEqual([]);
      expect(await ask(afterMs(1), 100)).toHaveLength(4);
      expect(await ask(made, 1)).toEqual(inOrder.slice(0, 1));
      expect(await ask(made, 1, inOrder[0]!.id)).toEqual(inOrder.slice(1));
      expect(await ask(made, 100, inOrder[1]!.id)).toEqual([]);
      expect(await unwrap(port().due(suite.newOrg(), { now: made, limit: 100, after: null }))).toEqual([]);

      // What has ended, and what is gone, is not due any more.
      const [one, two] = inOrder as [Deployment, Deployment];
      const { found } = await unwrap(port().facts(org, one.id));
      await write.go(found!, 'failed');
      expect(await ask(made, 100)).toEqual([two]);
      const { found: environment } = await unwrap(port().getEnvironment(org, two.projectEnvironmentId));
      await unwrap(port().deleteEnvironment({ environment: environment!, change: changeIn(org) }));
      expect(await ask(made, 100)).toEqual([]);
    });

    test.each(['app', 'repository', 'project'] as const)(
      'the data keys of an app are destroyed with its %s, and no others',
      async (what) => {
        const { org, ada, pair, write, anotherPair } = await withPair();
        const { dataKeys } = suite.harness.storage;
        const app = await write.app(pair);
        const other = await write.app(await anotherPair());
        const scopes = [app, other].map(({ id }) => ({ type: 'app', id }) as const);
        for (const scope of scopes) {
          await unwrap(dataKeys.add(org, dataKey(scope)));
        }
        const keysOf = async () =>
          Promise.all(scopes.map(async (scope) => (await unwrap(dataKeys.ofScope(org, scope))).length));
        expect(await keysOf()).toEqual([1, 1]);
        if (what === 'project') await unwrap(ada.projects.delete(pair.projectId));
        else if (what === 'app') await unwrap(port().deleteApp({ app, change: changeIn(org) }));
        else {
          const { found } = await unwrap(port().getRepo(org, pair.repoId));
          await unwrap(port().deleteRepo({ repo: found!, change: changeIn(org) }));
        }
        expect((await unwrap(port().getApp(org, app.id))).found).toBe(null);
        expect(await keysOf()).toEqual([0, 1]);
      },
    );

    test('of many that write at one version, or make one thing, one does', async () => {
      const { org, pair, write } = await withPair();
      const both = [port(), (await suite.other()).deployments];
      const all = async (
        act: (of: ReturnType<typeof port>) => PromiseLike<{ done: true } | { done: false; refused: string }>,
      ) => answersOf(await together(24, (index) => act(both[index % 2]!)));
      const change = () => changeIn(org);
      const { repoId } = pair;
      expect(await all((of) => unwrap(of.createRepo({ repo: repoNamed('new/one'), change: change() })))).toEqual({
        done: 1,
        stale: 23,
      });
      expect(await all((of) => unwrap(of.createApp({ app: appOf(pair), change: change() })))).toEqual({
        done: 1,
        exists: 23,
      });
      expect(
        await all((of) =>
          unwrap(of.createEnvironment({ environment: environmentOf(pair, 'x', { branch: 'b' }), change: change() })),
        ),
      ).toEqual({ done: 1, stale: 23 });
      const [environment] = (await unwrap(port().listByBranch(org, { repoId, branch: 'b' }, first))).items;
      const { latest: _latest, ...before } = environment!;
      expect(
        await all((of) => unwrap(of.move({ ...starting(before), adds: true, expectedVersion: 1, change: change() }))),
      ).toEqual({ done: 1, stale: 23 });
      const { deployment } = await unwrap(port().latest(org, before.id));
      expect((await unwrap(port().history(org, before.id, first)))?.items).toEqual([deployment]);
      const { found: now } = await unwrap(port().getEnvironment(org, before.id));
      expect(now).toMatchObject({ version: 2, deploymentSequence: 1, latestDeployment: deployment!.id });
      const changed = next(now!, { branch: 'c' });
      expect(
        await all((of) =>
          unwrap(
            of.writeEnvironment({ environment: changed, previousBranch: 'b', expectedVersion: 2, change: change() }),
          ),
        ),
      ).toEqual({ done: 1, stale: 23 });
      const gone = await all((of) => unwrap(of.deleteEnvironment({ environment: changed, change: change() })));
      expect(gone).toEqual({ done: 1, not_found: 23 });
      const { found: repo } = await unwrap(port().getRepo(org, repoId));
      expect(await all((of) => unwrap(of.deleteRepo({ repo: repo!, change: change() })))).toEqual({
        done: 1,
        not_found: 23,
      });
      await write.repo(repo!.fullName);
    });
  });

  function writing() {
    const org = suite.newOrg();
    return { org, write: deploymentWriterOf(suite.harness.storage, org) };
  }

  async function withPair() {
    const { org, ada } = suite.inNewOrg();
    const write = deploymentWriterOf(suite.harness.storage, org);
    const anotherPair = async (): Promise<Pair> => {
      const { id: projectId } = await unwrap(ada.projects.create({ name: randomUUID() }));
      const { id: repoId } = await write.repo(`acme/${randomUUID()}`);
      return { projectId, repoId };
    };
    return { org, ada, write, anotherPair, pair: await anotherPair() };
  }
}

async function twice(write: ReturnType<typeof deploymentWriterOf>, environment: StoredProjectEnvironment) {
  const { environment: now, deployment: latest } = await write.start(environment);
  return { ...now, latest };
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
