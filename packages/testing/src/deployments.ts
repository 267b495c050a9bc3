import { createHash } from 'node:crypto';
import {
  deployedStatuses,
  deploymentLifecycle,
  deploymentStatuses,
  legalDeploymentEvents,
  unwrap,
} from '@vivarium/core';
import type {
  Client,
  Deployment,
  DeploymentEvent,
  DeploymentStatus,
  Page,
  PageInput,
  ProjectEnvironment,
  ResultAsync,
  VivariumError,
} from '@vivarium/core';
import { encodeVariables } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { codeOf, refused, tally, together } from './answers.ts';
import { deploy, historyOf, makeEnvironment } from './deployments-making.ts';
import { commit } from './every-deployment-call.ts';
import { fakeClock } from './fake-clock.ts';
import { allPages, everything, filledAlike } from './paging.ts';
import type { Suite } from './suite.ts';

const hour = 3_600_000;
const events = ['running', 'success', 'failed', 'canceled'] as const satisfies readonly DeploymentEvent[];

/** What is deployed where, from outside. */
export function testDeployments(suite: Suite): void {
  describe('deployments', () => {
    test('a repository that is registered again is found, whatever the case of its name, and changed where something is new', async () => {
      const { ada, org, clock } = inNewOrg();
      const { repos } = ada.deployments;
      const created = clock.now();
      const repo = await unwrap(repos.register({ provider: 'github', fullName: 'Acme/Shop.web_app-1' }));
      expect(repo).toEqual({
        id: repo.id,
        provider: 'github',
        fullName: 'Acme/Shop.web_app-1',
        defaultBranch: 'main',
        version: 1,
        createdAt: created,
        updatedAt: created,
      });
      clock.advance(1);
      expect(await unwrap(repos.register({ provider: 'github', fullName: 'Acme/Shop.web_app-1' }))).toEqual(repo);
      expect(await suite.harness.raw.count('journal', org)).toBe(1);

      const renamed = await unwrap(
        repos.register({ provider: 'github', fullName: 'ACME/shop.web_app-1', defaultBranch: 'trunk 🌳' }),
      );
      expect(renamed).toEqual({
        ...repo,
        fullName: 'ACME/shop.web_app-1',
        defaultBranch: 'trunk 🌳',
        version: 2,
        updatedAt: clock.now(),
      });
      // Without a default branch the one that is known stays.
      expect(await unwrap(repos.register({ provider: 'github', fullName: 'ACME/shop.web_app-1' }))).toEqual(renamed);
      expect(await unwrap(repos.get(repo.id))).toEqual(renamed);
      const elsewhere = await unwrap(repos.register({ provider: 'gitlab', fullName: 'acme/shop.web_app-1' }));
      const deeper = await unwrap(repos.register({ provider: 'github', fullName: 'acme/shop.web_app-1/x' }));
      expect((await unwrap(repos.list())).items).toEqual([renamed, deeper, elsewhere]);
    });

    test('a project has one app of a repository; names may be shared, and what is not given stays', async () => {
      const { ada, clock } = inNewOrg();
      const { apps, repos } = ada.deployments;
      const one = await unwrap(ada.projects.create({ name: 'One' }));
      const two = await unwrap(ada.projects.create({ name: 'Two' }));
      const repo = await unwrap(repos.register({ provider: 'github', fullName: 'acme/shop' }));
      const other = await unwrap(repos.register({ provider: 'github', fullName: 'acme/other' }));
      const make = (projectId: string, repoId: string) => apps.create({ projectId, repoId, name: ' Shop ' });
      const app = await unwrap(make(one.id, repo.id));
      expect(app).toEqual({
        id: app.id,
        projectId: one.id,
        repoId: repo.id,
        name: 'Shop',
        entrypoint: null,
        version: 1,
        createdAt: clock.now(),
        updatedAt: clock.now(),
      });
      await refused(make(one.id, repo.id), 'app_exists');
      const second = await unwrap(make(two.id, repo.id));
      const third = await unwrap(make(one.id, other.id));

      clock.advance(1);
      const changed = await unwrap(apps.update(app.id, { entrypoint: 'apps/web', expectedVersion: 1 }));
      expect(changed).toEqual({ ...app, entrypoint: 'apps/web', version: 2, updatedAt: clock.now() });
      const renamed = await unwrap(apps.update(app.id, { name: 'A shop' }));
      expect(renamed).toMatchObject({ name: 'A shop', entrypoint: 'apps/web', version: 3 });
      const plain = await unwrap(apps.update(app.id, { entrypoint: null }));
      expect(await unwrap(apps.get(app.id))).toEqual(plain);

      const listed = async (filter: { projectId?: string; repoId?: string }) => (await unwrap(apps.list(filter))).items;
      expect(await listed({})).toEqual([plain, ...byId([second, third])]);
      expect(await listed({ projectId: one.id })).toEqual([plain, third]);
      expect(await listed({ repoId: repo.id })).toEqual([plain, second]);
      expect(await listed({ projectId: two.id, repoId: other.id })).toEqual([]);
      expect(await listed({ projectId: one.id, repoId: other.id })).toEqual([third]);

      await unwrap(apps.delete(app.id));
      await refused(apps.get(app.id), 'not_found');
      await unwrap(make(one.id, repo.id));
    });

    test('ensure makes an environment, brings it to what is wanted, and writes nothing where it is so', async () => {
      const { ada, org, clock } = inNewOrg();
      const { environments } = ada.deployments;
      const { projectId, repo, environment } = await makeEnvironment(ada, 'feature/login_1.2-x');
      const wanted = { projectId, repoId: repo.id, environment: 'feature/login_1.2-x' };
      expect(environment).toEqual({
        ...wanted,
        id: environment.id,
        type: 'other',
        branch: null,
        pullRequest: null,
        managedBy: null,
        deploymentSequence: 0,
        latestDeployment: null,
        activeDeployment: null,
        version: 1,
        createdAt: clock.now(),
        updatedAt: clock.now(),
      });
      const entries = await suite.harness.raw.count('journal', org);
      clock.advance(1);
      for (const same of [{}, { type: 'other' }, { branch: null }, { pullRequest: null }] as const) {
        expect(await unwrap(environments.ensure({ ...wanted, ...same }))).toEqual(environment);
      }
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);

      const branch = `${'語'.repeat(254)} `;
      const moved = await unwrap(environments.ensure({ ...wanted, branch, type: 'staging', pullRequest: 2 ** 31 - 1 }));
      expect(moved).toEqual({
        ...environment,
        branch,
        type: 'staging',
        pullRequest: 2 ** 31 - 1,
        version: 2,
        updatedAt: clock.now(),
      });
      expect(await unwrap(environments.ensure(wanted))).toEqual(moved);
      expect(await unwrap(environments.ensure({ ...wanted, branch: null }))).toMatchObject({
        branch: null,
        version: 3,
      });
      const now = await unwrap(environments.get(environment.id));
      expect(now).toMatchObject({ type: 'staging', branch: null, pullRequest: 2 ** 31 - 1 });
      expect(await unwrap(environments.getByName(wanted))).toEqual(now);
    });

    test.each([
      ['production', 'production', null],
      ['staging', 'staging', null],
      ['development', 'development', null],
      ['pr-1', 'preview', 1],
      ['pr-999999999', 'preview', 999_999_999],
      ['pr-0', 'other', null],
      ['pr-01', 'other', null],
      ['pr-', 'other', null],
      ['pr-9999999999', 'other', null],
      ['pr-1-x', 'other', null],
      ['x/pr-1', 'other', null],
      ['production-eu', 'other', null],
      ['x'.repeat(100), 'other', null],
    ])('an environment that is called %s is a %s environment', async (environment, type, pullRequest) => {
      const { ada } = inNewOrg();
      const { environment: made } = await makeEnvironment(ada, environment);
      expect(made).toMatchObject({ environment, type, pullRequest });
      const { environments } = ada.deployments;
      const told = { projectId: made.projectId, repoId: made.repoId, environment: `${environment.slice(0, 98)}.x` };
      expect(await unwrap(environments.ensure({ ...told, type: 'production', pullRequest: 7 }))).toMatchObject({
        type: 'production',
        pullRequest: 7,
      });
    });

    test('a branch finds its environments, in every project, by name; and only those that track it now', async () => {
      const { ada } = inNewOrg();
      const { environments, repos } = ada.deployments;
      const repo = await unwrap(repos.register({ provider: 'github', fullName: 'acme/shop' }));
      const other = await unwrap(repos.register({ provider: 'github', fullName: 'acme/other' }));
      const [one, two] = [
        await unwrap(ada.projects.create({ name: 'One' })),
        await unwrap(ada.projects.create({ name: 'Two' })),
      ];
      const ensure = (projectId: string, environment: string, branch: string | null, repoId = repo.id) =>
        unwrap(environments.ensure({ projectId, repoId, environment, branch }));
      const b1 = await ensure(one.id, 'b', 'feature');
      const b2 = await ensure(two.id, 'b', 'feature');
      const a2 = await ensure(two.id, 'a', 'feature');
      await ensure(one.id, 'c', 'Feature');
      await ensure(one.id, 'd', 'feature ');
      await ensure(one.id, 'e', 'feature#');
      await ensure(one.id, 'f', null);
      await ensure(one.id, 'b', 'feature', other.id);
      const of = async (branch: string) =>
        (await everything((page) => environments.getByBranch({ repoId: repo.id, branch, ...page }))).map(
          ({ id }) => id,
        );
      expect(await of('feature')).toEqual([a2.id, ...byId([b1, b2]).map(({ id }) => id)]);
      for (let limit = 1; limit <= 3; limit++) {
        const pages = await allPages(
          (page) => environments.getByBranch({ repoId: repo.id, branch: 'feature', ...page }),
          limit,
        );
        expect(pages.flatMap(({ items }) => items.map(({ id }) => id))).toEqual(await of('feature'));
      }
      expect(await of('nowhere')).toEqual([]);

      await ensure(one.id, 'b', 'Feature');
      expect(await of('feature')).toEqual([a2.id, b2.id]);
      expect(await of('Feature')).toContain(b1.id);
      await unwrap(environments.delete(a2.id));
      await ensure(two.id, 'b', null);
      expect(await of('feature')).toEqual([]);

      const deployment = await deploy(ada, b1);
      const [first] = (await unwrap(environments.getByBranch({ repoId: repo.id, branch: 'Feature' }))).items;
      expect(first).toEqual({ ...(await unwrap(environments.get(b1.id))), latest: deployment });
    });

    test('lists of environments hold what they are asked for, each with the deployment that started last', async () => {
      const { ada } = inNewOrg();
      const { environments, repos } = ada.deployments;
      const { projectId, repo, environment: production } = await makeEnvironment(ada);
      const second = await unwrap(repos.register({ provider: 'github', fullName: 'acme/second' }));
      const child = await unwrap(ada.projects.create({ name: 'Child', parentProjectId: projectId }));
      const ensure = (of: string, repoId: string, environment: string) =>
        unwrap(environments.ensure({ projectId: of, repoId, environment }));
      const preview = await ensure(projectId, repo.id, 'pr-1');
      const elsewhere = await ensure(projectId, second.id, 'production');
      const childs = await ensure(child.id, repo.id, 'pr-1');
      await deploy(ada, production, 'running', 'success');
      const latest = await deploy(ada, production, 'running');
      const first = await deploy(ada, preview, 'failed');

      const list = async (filter: Parameters<typeof environments.list>[0]) =>
        (await unwrap(environments.list(filter))).items.map(({ id, latest: deployed }) => [id, deployed]);
      const [row, previewRow, elsewhereRow, childsRow] = [
        [production.id, latest],
        [preview.id, first],
        [elsewhere.id, null],
        [childs.id, null],
      ];
      const productions = byId([production, elsewhere]).map(({ id }) => (id === production.id ? row : elsewhereRow));
      const previews = byId([preview, childs]).map(({ id }) => (id === preview.id ? previewRow : childsRow));
      expect(await list({ projectId })).toEqual([previewRow, ...productions]);
      expect(await list({ repoId: repo.id })).toEqual([...previews, row]);
      expect(await list({ projectId, repoId: repo.id })).toEqual([previewRow, row]);
      expect(await list({ projectId, type: 'production' })).toEqual(productions);
      expect(await list({ repoId: repo.id, type: 'preview' })).toEqual(previews);
      expect(await list({ projectId, repoId: second.id, type: 'preview' })).toEqual([]);
      const [listed] = (await unwrap(environments.list({ projectId, repoId: repo.id, type: 'production' }))).items;
      expect(listed).toEqual({ ...(await unwrap(environments.get(production.id))), latest });
    });

    describe('pages of every size give the whole list, with the same cursors as memory storage', () => {
      type List = (page: PageInput) => ResultAsync<Page<unknown>, VivariumError>;
      type Places = Readonly<Record<'projectId' | 'repoId' | 'environmentId', string>>;
      const lists: Readonly<Record<string, (of: Client<unknown>['deployments'], places: Places) => List>> = {
        'repos.list': (of) => (page) => of.repos.list(page),
        'apps.list': (of) => (page) => of.apps.list(page),
        'apps.list of a project':
          (of, { projectId }) =>
          (page) =>
            of.apps.list({ projectId, ...page }),
        'environments.list of a project':
          (of, { projectId }) =>
          (page) =>
            of.environments.list({ projectId, ...page }),
        'environments.list of a repository':
          (of, { repoId }) =>
          (page) =>
            of.environments.list({ repoId, ...page }),
        'environments.list of a type':
          (of, { repoId }) =>
          (page) =>
            of.environments.list({ repoId, type: 'preview', ...page }),
        'environments.getByBranch':
          (of, { repoId }) =>
          (page) =>
            of.environments.getByBranch({ repoId, branch: 'main', ...page }),
        history:
          (of, { environmentId }) =>
          (page) =>
            of.history({ projectEnvironmentId: environmentId, ...page }),
      };

      const filled = filledAlike(suite, fill);

      test.each(Object.keys(lists))('%s', async (name) => {
        const [tested, reference] = (await filled()).map(({ client, made }) => lists[name]!(client.deployments, made));
        const whole = (await allPages(reference!, 100)).flatMap(({ items }) => items);
        expect(whole.length).toBeGreaterThanOrEqual(6);
        for (let limit = 1; limit <= whole.length + 1; limit++) {
          const pages = await allPages(tested!, limit);
          expect(pages).toEqual(await allPages(reference!, limit));
          expect(pages.flatMap(({ items }) => items)).toEqual(whole);
        }
      });

      /** Several of everything, with names that are shared, and that sort by their bytes. */
      async function fill(client: Client<unknown>): Promise<Places> {
        const { repos, apps, environments } = client.deployments;
        const projects = [];
        for (const name of ['One', 'Two', 'Three']) projects.push(await unwrap(client.projects.create({ name })));
        const registered = [];
        for (const provider of ['gitlab', 'git', 'github']) {
          for (const fullName of ['b/b', 'a/z', 'a-b/c', 'A/b']) {
            registered.push(await unwrap(repos.register({ provider, fullName })));
          }
        }
        for (const [index, { id: repoId }] of registered.entries()) {
          const name = ['Shop', 'shop', 'é', '𐐨', 'ｦ'][index % 5]!;
          await unwrap(apps.create({ projectId: projects[0]!.id, repoId, name }));
        }
        const [projectId, repoId] = [projects[0]!.id, registered[0]!.id];
        for (const { id } of projects) {
          for (const environment of ['pr-10', 'pr-2', 'pr-1', 'a/b', 'a-b', 'a_b', 'a.b']) {
            await unwrap(environments.ensure({ projectId: id, repoId, environment, branch: 'main' }));
          }
        }
        const { items } = await unwrap(environments.list({ projectId }));
        for (let index = 0; index < 7; index++) await deploy(client, items[index % 2 === 0 ? 0 : 1]!, 'running');
        for (let index = 0; index < 4; index++) await deploy(client, items[0]!, 'running', 'success');
        return { projectId, repoId, environmentId: items[0]!.id };
      }
    });

    test('a deployment starts, runs and succeeds; it is the latest from its start on, and live from its success on', async () => {
      const { ada, clock } = inNewOrg();
      const { deployments } = ada;
      const { environment } = await makeEnvironment(ada);
      expect(await unwrap(deployments.latest(environment.id))).toBe(null);
      expect(await historyOf(ada, environment.id)).toEqual([]);
      const createdAt = clock.now();
      const created = await unwrap(
        deployments.start({
          projectEnvironmentId: environment.id,
          gitRef: 'refs/heads/main',
          sha: 'f'.repeat(64),
          description: '',
          timeoutMs: 5_000,
        }),
      );
      expect(created).toEqual({
        id: created.id,
        projectEnvironmentId: environment.id,
        sequence: 1,
        status: 'created',
        gitRef: 'refs/heads/main',
        sha: 'f'.repeat(64),
        url: null,
        description: '',
        rollbackOf: null,
        configuration: null,
        createdBy: { type: 'user', id: 'ada' },
        deadline: new Date(createdAt.getTime() + 5_000),
        createdAt,
        startedAt: null,
        endedAt: null,
        updatedAt: createdAt,
      });
      const after = async () => await unwrap(deployments.environments.get(environment.id));
      expect(await after()).toEqual({
        ...environment,
        deploymentSequence: 1,
        latestDeployment: created.id,
        version: 2,
        updatedAt: createdAt,
      });

      clock.advance(10);
      const startedAt = clock.now();
      const running = await unwrap(
        deployments.report(created.id, { status: 'running', description: 'step 1 of 2 🧪' }),
      );
      expect(running).toEqual({
        ...created,
        status: 'running',
        description: 'step 1 of 2 🧪',
        startedAt,
        updatedAt: startedAt,
      });
      expect(await after()).toMatchObject({ activeDeployment: null, version: 3 });
      clock.advance(10);
      const url = `https://example.com/${'é'.repeat(900)}`;
      const success = await unwrap(deployments.report(created.id, { status: 'success', url }));
      expect(success).toEqual({ ...running, status: 'success', url, endedAt: clock.now(), updatedAt: clock.now() });
      expect(await after()).toEqual({
        ...environment,
        deploymentSequence: 1,
        latestDeployment: created.id,
        activeDeployment: created.id,
        version: 4,
        updatedAt: clock.now(),
      });
      expect(await unwrap(deployments.get(created.id))).toEqual(success);
      expect(await unwrap(deployments.latest(environment.id))).toEqual(success);

      clock.advance(10);
      const next = await deploy(ada, environment, 'running');
      expect(next).toMatchObject({ sequence: 2, deadline: new Date(clock.now().getTime() + hour) });
      expect(await after()).toMatchObject({ latestDeployment: next.id, activeDeployment: created.id });
      await unwrap(deployments.report(next.id, { status: 'success' }));
      expect(await after()).toMatchObject({ latestDeployment: next.id, activeDeployment: next.id });
      const replaced = await unwrap(deployments.get(created.id));
      expect(replaced).toEqual({ ...success, status: 'inactive', updatedAt: clock.now() });
      const failed = await deploy(ada, environment, 'failed');
      expect(await after()).toMatchObject({ latestDeployment: failed.id, activeDeployment: next.id });
      expect((await historyOf(ada, environment.id)).map(({ sequence, status }) => [sequence, status])).toEqual([
        [3, 'failed'],
        [2, 'success'],
        [1, 'inactive'],
      ]);
    });

    test('every event of every status leads where the table says, changes nothing when it is told again, or is illegal', async () => {
      const { ada, org, clock } = inNewOrg();
      const { deployments } = ada;
      const { projectId, repo } = await makeEnvironment(ada);
      const inStatus: Readonly<Record<DeploymentStatus, (environment: ProjectEnvironment) => Promise<Deployment>>> = {
        created: (environment) => deploy(ada, environment),
        running: (environment) => deploy(ada, environment, 'running'),
        success: (environment) => deploy(ada, environment, 'running', 'success'),
        failed: (environment) => deploy(ada, environment, 'failed'),
        canceled: async (environment) => unwrap(deployments.cancel((await deploy(ada, environment)).id)),
        inactive: async (environment) => {
          const { id } = await deploy(ada, environment, 'running', 'success');
          await deploy(ada, environment, 'running', 'success');
          return unwrap(deployments.get(id));
        },
        superseded: async (environment) => {
          const { id } = await deploy(ada, environment, 'running');
          await deploy(ada, environment, 'running', 'success');
          return unwrap(deployments.report(id, { status: 'success' }));
        },
      };
      for (const status of deploymentStatuses) {
        for (const event of events) {
          const name = `${status}-${event}`;
          const wanted = { projectId, repoId: repo.id, environment: name };
          const environment = await unwrap(deployments.environments.ensure(wanted));
          const before = await inStatus[status](environment);
          expect([name, before.status]).toEqual([name, status]);
          const entries = await suite.harness.raw.count('journal', org);
          const version = async () => (await unwrap(deployments.environments.get(environment.id))).version;
          const versionBefore = await version();
          clock.advance(1);
          const say = () =>
            event === 'canceled' ? deployments.cancel(before.id) : deployments.report(before.id, { status: event });
          const { from, to } = deploymentLifecycle[event];
          if (from.includes(status)) {
            const moved = await unwrap(say());
            const open = to === 'running';
            expect([name, moved]).toEqual([
              name,
              {
                ...before,
                status: to,
                startedAt: open ? clock.now() : before.startedAt,
                endedAt: open ? null : clock.now(),
                updatedAt: clock.now(),
              },
            ]);
            expect(await unwrap(deployments.get(before.id))).toEqual(moved);
            expect([name, await suite.harness.raw.count('journal', org)]).toEqual([name, entries + 1]);
            expect([name, await version()]).toEqual([name, versionBefore + 1]);
            continue;
          }
          if (status === to || (event === 'success' && deployedStatuses.has(status))) {
            expect([name, await unwrap(say())]).toEqual([name, before]);
          } else {
            const error = await refused(say(), 'illegal_transition');
            expect([name, error.legal]).toEqual([name, legalDeploymentEvents(status)]);
          }
          expect(await unwrap(deployments.get(before.id))).toEqual(before);
          expect([name, await suite.harness.raw.count('journal', org)]).toEqual([name, entries]);
          expect([name, await version()]).toEqual([name, versionBefore]);
        }
      }
    });

    test('a success that comes after a later one is superseded, and takes nothing from it', async () => {
      const { ada, clock } = inNewOrg();
      const { deployments } = ada;
      const { environment } = await makeEnvironment(ada);
      const first = await deploy(ada, environment, 'running');
      const second = await deploy(ada, environment, 'running');
      const third = await deploy(ada, environment, 'running');
      await unwrap(deployments.report(second.id, { status: 'success' }));
      clock.advance(1);
      const late = await unwrap(deployments.report(first.id, { status: 'success', url: 'https://late.example.com' }));
      expect(late).toEqual({
        ...first,
        status: 'superseded',
        url: 'https://late.example.com',
        endedAt: clock.now(),
        updatedAt: clock.now(),
      });
      expect(await unwrap(deployments.get(second.id))).toMatchObject({ status: 'success' });
      const place = () => unwrap(deployments.environments.get(environment.id));
      expect(await place()).toMatchObject({ latestDeployment: third.id, activeDeployment: second.id });
      await unwrap(deployments.report(third.id, { status: 'success' }));
      expect(await place()).toMatchObject({ latestDeployment: third.id, activeDeployment: third.id });
      expect((await historyOf(ada, environment.id)).map(({ status }) => status)).toEqual([
        'success',
        'inactive',
        'superseded',
      ]);
    });

    test('what is said again with something new is kept, and moves nothing else', async () => {
      const { ada, clock } = inNewOrg();
      const { deployments } = ada;
      const { environment } = await makeEnvironment(ada);
      const live = await deploy(ada, environment, 'running', 'success');
      clock.advance(1);
      const again = await unwrap(deployments.report(live.id, { status: 'success', url: 'https://example.com/' }));
      expect(again).toEqual({ ...live, url: 'https://example.com/', updatedAt: clock.now() });
      const next = await deploy(ada, environment, 'running', 'success');
      // The second copy of a report comes after the next deployment.
      const old = await unwrap(deployments.report(live.id, { status: 'success', url: 'https://example.com/' }));
      expect(old).toEqual({ ...again, status: 'inactive', updatedAt: clock.now() });
      const told = await unwrap(deployments.report(live.id, { status: 'success', url: null, description: 'gone' }));
      expect(told).toMatchObject({ status: 'inactive', url: null, description: 'gone' });
      expect(await unwrap(deployments.get(next.id))).toEqual(next);
      expect(await unwrap(deployments.environments.get(environment.id))).toMatchObject({ activeDeployment: next.id });
    });

    test('a rollback is a deployment of what was deployed before: anything that succeeded at some time', async () => {
      const { ada, clock } = inNewOrg();
      const { deployments } = ada;
      const { projectId, environment } = await makeEnvironment(ada);
      const configured = await unwrap(ada.environments.getDefault(projectId));
      const first = await unwrap(
        deployments.start({
          projectEnvironmentId: environment.id,
          gitRef: 'v1',
          sha: commit('1'),
          description: 'the first',
          timeoutMs: 7_000,
          configuration: { environmentId: configured.id },
        }),
      );
      await unwrap(deployments.report(first.id, { status: 'running' }));
      await unwrap(deployments.report(first.id, { status: 'success', url: 'https://one.example.com' }));
      const overtaken = await deploy(ada, environment, 'running');
      const live = await deploy(ada, environment, 'running', 'success');
      await unwrap(deployments.report(overtaken.id, { status: 'success' }));
      await unwrap(ada.environments.update(configured.ref, { description: 'changed since' }));

      clock.advance(1_000);
      const rolledBack = await unwrap(deployments.rollback({ projectEnvironmentId: environment.id, to: first.id }));
      expect(rolledBack).toEqual({
        ...first,
        id: rolledBack.id,
        sequence: 4,
        rollbackOf: first.id,
        deadline: new Date(clock.now().getTime() + 7_000),
        createdAt: clock.now(),
        updatedAt: clock.now(),
      });
      const place = () => unwrap(deployments.environments.get(environment.id));
      expect(await place()).toMatchObject({ latestDeployment: rolledBack.id, activeDeployment: live.id });
      await unwrap(deployments.report(rolledBack.id, { status: 'running' }));
      await unwrap(deployments.report(rolledBack.id, { status: 'success' }));
      expect(await place()).toMatchObject({ latestDeployment: rolledBack.id, activeDeployment: rolledBack.id });
      for (const to of [overtaken, live, rolledBack]) {
        const back = await unwrap(deployments.rollback({ projectEnvironmentId: environment.id, to: to.id }));
        expect(back).toMatchObject({ rollbackOf: to.id, status: 'created', sha: to.sha });
        await refused(
          deployments.rollback({ projectEnvironmentId: environment.id, to: back.id }),
          'illegal_transition',
        );
      }
    });

    test('a configuration is kept with its version and the digest of what is stored of its variables', async () => {
      const { ada } = inNewOrg();
      const { environment, projectId } = await makeEnvironment(ada);
      const variables = [
        { key: 'B', value: '1', description: 'ä 🧪' },
        { key: 'A', value: 'two' },
      ];
      const { ref } = await unwrap(ada.environments.create({ projectId, name: 'C', variables }));
      const start = async (environmentId = ref.id) =>
        (
          await unwrap(
            ada.deployments.start({
              projectEnvironmentId: environment.id,
              gitRef: 'main',
              sha: commit('1'),
              configuration: { environmentId },
            }),
          )
        ).configuration;
      const digest = createHash('sha256').update(encodeVariables(variables)).digest('hex');
      const first = await start();
      expect(first).toEqual({ environmentId: ref.id, version: 1, digest });
      await unwrap(ada.environments.update(ref, { description: 'nothing of its variables' }));
      expect(await start()).toEqual({ environmentId: ref.id, version: 2, digest });
      await unwrap(ada.environments.patchVariables(ref, { set: [{ key: 'A', value: 'three' }] }));
      const changed = await start();
      expect(changed?.digest).toMatch(/^[0-9a-f]{64}$/);
      expect(changed?.digest).not.toBe(digest);
      await unwrap(ada.environments.setVariables(ref, { variables }));
      expect(await start()).toEqual({ environmentId: ref.id, version: 4, digest });
      await unwrap(ada.environments.setVariables(ref, { variables: [{ key: 'A', value: 's3cr3t', sensitive: true }] }));
      expect((await start())?.version).toBe(5);
      expect((await unwrap(ada.deployments.latest(environment.id)))?.configuration?.version).toBe(5);

      // Kept with the deployment when the configuration is gone; and another project's is none.
      await unwrap(ada.environments.delete(ref));
      expect((await historyOf(ada, environment.id)).at(-1)?.configuration).toEqual(first);
      const other = await unwrap(ada.projects.create({ name: 'Other' }));
      const theirs = await unwrap(ada.environments.getDefault(other.id));
      for (const environmentId of [ref.id, theirs.id]) {
        const configuration = { environmentId };
        const wanted = { projectEnvironmentId: environment.id, gitRef: 'main', sha: commit('1'), configuration };
        expect(await refused(ada.deployments.start(wanted), 'not_found')).toMatchObject({ resource: 'environment' });
      }
    });

    test('sweep fails what has not ended by its deadline, once, and leaves the rest', async () => {
      const { ada, org, clock } = inNewOrg();
      const { deployments } = ada;
      const { environment } = await makeEnvironment(ada);
      const start = (timeoutMs: number) =>
        unwrap(
          deployments.start({ projectEnvironmentId: environment.id, gitRef: 'main', sha: commit('1'), timeoutMs }),
        );
      const waiting = await start(1_000);
      const running = await start(1_001);
      await unwrap(deployments.report(running.id, { status: 'running', url: 'https://example.com/' }));
      const longer = await start(1_002);
      const ended = await start(1_000);
      await unwrap(deployments.cancel(ended.id));
      clock.advance(999);
      expect(await unwrap(deployments.sweep())).toEqual([]);
      clock.advance(2);

      const why = ({ deadline }: Deployment) => `it has not ended by its deadline, ${deadline.toISOString()}`;
      const swept = (outcome: string) => (deployment: Deployment) => ({
        deploymentId: deployment.id,
        projectEnvironmentId: environment.id,
        action: 'fail',
        why: why(deployment),
        outcome,
      });
      const entries = await suite.harness.raw.count('journal', org);
      expect(byDeployment(await unwrap(deployments.sweep({ dryRun: true })))).toEqual(
        byId([waiting, running]).map(swept('planned')),
      );
      expect(await unwrap(deployments.sweep({ dryRun: true, limit: 1 }))).toHaveLength(1);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);

      const both = [ada, suite.vivarium({ clock, storage: await suite.other() }).as({ org, type: 'service', id: 's' })];
      const all = (await together(6, (index) => unwrap(both[index % 2]!.deployments.sweep()))).flat();
      expect(byDeployment(all.filter(({ outcome }) => outcome === 'done'))).toEqual(
        byId([waiting, running]).map(swept('done')),
      );
      expect(all.every(({ outcome }) => outcome === 'done' || outcome === 'settled')).toBe(true);
      for (const deployment of [waiting, running]) {
        expect(await unwrap(deployments.get(deployment.id))).toMatchObject({
          status: 'failed',
          description: why(deployment),
          endedAt: clock.now(),
        });
      }
      expect(await unwrap(deployments.get(longer.id))).toEqual(longer);
      const timedOut = await unwrap(ada.journal.list({ action: 'deployment.timed_out' }));
      expect(timedOut.items).toHaveLength(2);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries + 2);
      expect(await unwrap(deployments.sweep())).toEqual([]);
      await refused(deployments.report(running.id, { status: 'success' }), 'illegal_transition');
    });

    test('more is due than one batch reads, and a limit stops in between', async () => {
      const { ada, clock } = inNewOrg();
      const { projectId, repo } = await makeEnvironment(ada);
      for (let index = 0; index < 11; index++) {
        const wanted = { projectId, repoId: repo.id, environment: `e${index}` };
        const environment = await unwrap(ada.deployments.environments.ensure(wanted));
        for (let count = 0; count < 10; count++) await deploy(ada, environment);
      }
      clock.advance(hour);
      expect(await unwrap(ada.deployments.sweep({ limit: 1_000, dryRun: true }))).toHaveLength(110);
      const first = await unwrap(ada.deployments.sweep({ limit: 7 }));
      const rest = await unwrap(ada.deployments.sweep({ limit: 1_000 }));
      expect([first.length, rest.length]).toEqual([7, 103]);
      expect(new Set([...first, ...rest].map(({ deploymentId }) => deploymentId)).size).toBe(110);
      expect(tally([...first, ...rest].map(({ outcome }) => outcome))).toEqual({ done: 110 });
    });

    test.each(['project', 'repository'] as const)(
      'what belongs to a %s goes with it, and nothing else does',
      async (what) => {
        const { ada } = inNewOrg();
        const { repos, apps, environments, get } = bound(ada);
        const [one, two] = [
          await unwrap(ada.projects.create({ name: 'One' })),
          await unwrap(ada.projects.create({ name: 'Two' })),
        ];
        const [shop, blog] = [
          await unwrap(repos.register({ provider: 'github', fullName: 'acme/shop' })),
          await unwrap(repos.register({ provider: 'github', fullName: 'acme/blog' })),
        ];
        const made = new Map<string, { app: string; environment: string; deployments: string[] }>();
        for (const projectId of [one.id, two.id]) {
          for (const repoId of [shop.id, blog.id]) {
            const app = await unwrap(apps.create({ projectId, repoId, name: 'Shop' }));
            const environment = await unwrap(environments.ensure({ projectId, repoId, environment: 'x', branch: 'b' }));
            const deployments = [];
            for (let count = 0; count < 3; count++) {
              deployments.push((await deploy(ada, environment, 'running', 'success')).id);
            }
            made.set(`${projectId} ${repoId}`, { app: app.id, environment: environment.id, deployments });
          }
        }
        if (what === 'project') await unwrap(ada.projects.delete(one.id));
        else await unwrap(repos.delete(shop.id));
        for (const [pair, { app, environment, deployments }] of made) {
          const code = pair.includes(what === 'project' ? one.id : shop.id) ? 'not_found' : 'ok';
          expect(await codeOf(apps.get(app))).toBe(code);
          expect(await codeOf(environments.get(environment))).toBe(code);
          expect(await codeOf(ada.deployments.latest(environment))).toBe(code);
          for (const id of deployments) expect(await codeOf(get(id))).toBe(code);
        }
        expect((await unwrap(apps.list())).items).toHaveLength(2);
        const places = what === 'project' ? { projectId: two.id } : { repoId: blog.id };
        const gone = what === 'project' ? { projectId: one.id } : { repoId: shop.id };
        expect((await unwrap(environments.list(places))).items).toHaveLength(2);
        expect((await unwrap(environments.list(gone))).items).toEqual([]);
        for (const { id: repoId } of [shop, blog]) {
          const { items } = await unwrap(environments.getByBranch({ repoId, branch: 'b' }));
          expect(items).toHaveLength(what === 'project' ? 1 : repoId === shop.id ? 0 : 2);
        }
        expect(await unwrap(ada.deployments.sweep({ dryRun: true }))).toEqual([]);

        // What comes back under the same names is new.
        if (what === 'repository') {
          const again = await unwrap(repos.register({ provider: 'github', fullName: 'acme/shop' }));
          expect(again.version).toBe(1);
          const wanted = { projectId: one.id, repoId: again.id, environment: 'x' };
          expect(await unwrap(environments.ensure(wanted))).toMatchObject({
            version: 1,
            branch: null,
            latestDeployment: null,
          });
        }
      },
    );

    test('an environment goes with its deployments, an app alone, and both names are free again', async () => {
      const { ada, clock } = inNewOrg();
      const { apps, environments } = ada.deployments;
      const { projectId, repo, environment } = await makeEnvironment(ada);
      const app = await unwrap(apps.create({ projectId, repoId: repo.id, name: 'Shop' }));
      const deployment = await deploy(ada, environment, 'running', 'success');
      const open = await deploy(ada, environment);
      await unwrap(apps.delete(app.id));
      expect(await unwrap(ada.deployments.get(deployment.id))).toEqual(deployment);
      await unwrap(environments.delete(environment.id));
      clock.advance(hour);
      expect(await unwrap(ada.deployments.sweep())).toEqual([]);
      for (const { id } of [deployment, open]) {
        await refused(ada.deployments.get(id), 'not_found');
        await refused(ada.deployments.report(id, { status: 'success' }), 'not_found');
        await refused(ada.deployments.cancel(id), 'not_found');
      }
      await refused(ada.deployments.history({ projectEnvironmentId: environment.id }), 'not_found');
      const again = await unwrap(environments.ensure({ projectId, repoId: repo.id, environment: 'production' }));
      expect(again.id).not.toBe(environment.id);
      expect(again).toMatchObject({
        deploymentSequence: 0,
        latestDeployment: null,
        activeDeployment: null,
        version: 1,
      });
      expect(await historyOf(ada, again.id)).toEqual([]);
      expect(await deploy(ada, again)).toMatchObject({ sequence: 1 });
    });
  });

  function inNewOrg() {
    const clock = fakeClock();
    return { clock, ...suite.inNewOrg({ clock }) };
  }
}

function bound({ deployments }: Client<unknown>) {
  const { repos, apps, environments } = deployments;
  return { repos, apps, environments, get: (id: string) => deployments.get(id) };
}

function byId<T extends { readonly id: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function byDeployment<T extends { readonly deploymentId: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (a.deploymentId < b.deploymentId ? -1 : 1));
}
