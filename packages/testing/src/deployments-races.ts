import { unwrap } from '@vivarium/core';
import type { Client, Deployment, ResultAsync, VivariumError } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { aWhile, codeOf, tally, together } from './answers.ts';
import { deploy, historyOf, makeEnvironment } from './deployments-making.ts';
import { commit } from './every-deployment-call.ts';
import { fakeClock } from './fake-clock.ts';
import { everything } from './paging.ts';
import { untilSettled } from './races.ts';
import { seededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

const clients = 24;

/** Many clients at once, in two storages on one database: what must hold of deployments under any interleaving. */
export function testDeploymentRaces(suite: Suite): void {
  describe('races of deployments', () => {
    test('24 that start at once are numbered without a gap, and the one that started last is the latest', async () => {
      const { both } = await racers();
      const { environment } = await makeEnvironment(both(0));
      const watching = watch(both(1), environment.id);
      const started: Deployment[] = [];
      await together(clients, (index) =>
        untilSettled(async () => {
          const { deployments } = both(index);
          const wanted = { projectEnvironmentId: environment.id, gitRef: `b${index}`, sha: commit('1') };
          return keeping(started, deployments.start(wanted));
        }),
      );
      await watching.stop();
      expect(inSequence(started).map(({ sequence }) => sequence)).toEqual(oneTo(clients));
      const history = await historyOf(both(0), environment.id);
      expect(history).toEqual(inSequence(started).toReversed());
      expect(await unwrap(both(1).deployments.environments.get(environment.id))).toMatchObject({
        deploymentSequence: clients,
        latestDeployment: history[0]!.id,
        activeDeployment: null,
        version: 1 + clients,
      });
    });

    test('of many successes in any order the one that started last is live, and every other one has had its place or never got it', async () => {
      const { both } = await racers();
      const { projectId, repo } = await makeEnvironment(both(0));
      const random = seededRandom(suite.size.seed);
      for (let round = 0; round < 2; round++) {
        const wanted = { projectId, repoId: repo.id, environment: `e${round}` };
        const environment = await unwrap(both(0).deployments.environments.ensure(wanted));
        const begun = [];
        for (let count = 0; count < clients; count++) begun.push(await deploy(both(count), environment, 'running'));
        const failing = new Set(begun.filter(() => random.next() < 0.25).map(({ id }) => id));
        // Whichever the draw says, one has succeeded, and in the first round it is not the one that started last.
        failing.delete(begun[0]!.id);
        if (round === 0) failing.add(begun.at(-1)!.id);

        const watching = watch(both(1), environment.id);
        const drawn = begun.map((deployment) => ({ deployment, place: random.next() }));
        const order = drawn.toSorted((a, b) => a.place - b.place).map(({ deployment }) => deployment);
        await together(clients, async (index) => {
          const { id } = order[index]!;
          const status = failing.has(id) ? 'failed' : 'success';
          for (let turn = Math.floor(random.next() * 200); turn > 0; turn--) await Promise.resolve();
          // Delivered twice: the second copy must not be seen.
          for (let copy = 0; copy < 2; copy++) {
            expect(await untilSettled(() => codeOf(both(index).deployments.report(id, { status })))).toBe('ok');
          }
        });
        await watching.stop();

        const history = await historyOf(both(0), environment.id);
        const last = history.find(({ id }) => !failing.has(id))!;
        const place = await unwrap(both(1).deployments.environments.get(environment.id));
        expect(place).toMatchObject({ latestDeployment: history[0]!.id, activeDeployment: last.id });
        expect(history.filter(({ status }) => status === 'success').map(({ id }) => id)).toEqual([last.id]);
        const statuses = new Map(history.map(({ id, status }) => [id, status]));
        expect(statuses).toEqual(await byTheJournal(both(0), environment.id));
        expect(new Set(failing)).toEqual(new Set(history.filter((one) => one.status === 'failed').map(({ id }) => id)));
      }
    });

    test('what starts, goes on and is taken back at once leaves one story', async () => {
      const { both } = await racers();
      const { environment } = await makeEnvironment(both(0));
      const { id: projectEnvironmentId } = environment;
      const seeded = await deploy(both(0), environment, 'running', 'success');
      const watching = watch(both(1), environment.id);
      await together(clients, async (index) => {
        const { deployments } = both(index);
        const mine: Deployment[] = [];
        await untilSettled(() =>
          keeping(
            mine,
            index % 4 === 0
              ? deployments.rollback({ projectEnvironmentId, to: seeded.id })
              : deployments.start({ projectEnvironmentId, gitRef: 'main', sha: commit('2') }),
          ),
        );
        const { id } = mine[0]!;
        await untilSettled(() => codeOf(deployments.report(id, { status: 'running' })));
        if (index % 5 === 0) await untilSettled(() => codeOf(deployments.cancel(id)));
        else await untilSettled(() => codeOf(deployments.report(id, { status: 'success' })));
      });
      await watching.stop();
      const history = await historyOf(both(0), environment.id);
      expect(history.map(({ sequence }) => sequence)).toEqual(oneTo(clients + 1).toReversed());
      expect(tally(history.map(({ status }) => (status === 'canceled' ? 'canceled' : 'deployed')))).toEqual({
        canceled: 5,
        deployed: clients - 4,
      });
      const live = history.find(({ status }) => status !== 'canceled')!;
      expect(history.filter(({ status }) => status === 'success')).toEqual([live]);
      expect(await unwrap(both(0).deployments.environments.get(environment.id))).toMatchObject({
        latestDeployment: history[0]!.id,
        activeDeployment: live.id,
        deploymentSequence: clients + 1,
      });
      expect(new Map(history.map(({ id, status }) => [id, status]))).toEqual(
        await byTheJournal(both(0), environment.id),
      );
    });

    test('one name is one environment, one repository, and one app, however many ask for it', async () => {
      const { both, org } = await racers();
      const { id: projectId } = await unwrap(both(0).projects.create({ name: 'P' }));
      const entries = () => suite.harness.raw.count('journal', org);
      const before = await entries();
      const repos = await together(clients, (index) =>
        unwrap(both(index).deployments.repos.register({ provider: 'github', fullName: 'acme/shop' })),
      );
      for (const repo of repos) expect(repo).toEqual(repos[0]);
      expect(await entries()).toBe(before + 1);
      const repoId = repos[0]!.id;
      const apps = await together(clients, (index) =>
        codeOf(both(index).deployments.apps.create({ projectId, repoId, name: 'Shop' })),
      );
      expect(tally(apps)).toEqual({ ok: 1, app_exists: clients - 1 });
      const environments = await together(clients, (index) =>
        unwrap(both(index).deployments.environments.ensure({ projectId, repoId, environment: 'pr-1', branch: 'b' })),
      );
      for (const environment of environments) expect(environment).toEqual(environments[0]);
      expect(await entries()).toBe(before + 3);

      const branches = await together(clients, (index) =>
        untilSettled(() =>
          codeOf(
            both(index).deployments.environments.ensure({
              projectId,
              repoId,
              environment: 'pr-2',
              branch: `b${index % 3}`,
            }),
          ),
        ),
      );
      expect(tally(branches)).toEqual({ ok: clients });
      const found = (await unwrap(both(1).deployments.environments.list({ projectId }))).items;
      expect(found.map(({ environment }) => environment)).toEqual(['pr-1', 'pr-2']);
      const tracked = await Promise.all(
        ['b0', 'b1', 'b2'].map(
          async (branch) => (await unwrap(both(0).deployments.environments.getByBranch({ repoId, branch }))).items,
        ),
      );
      expect(tracked.flat()).toEqual([found[1]]);
    });

    test.each(['environment', 'repository', 'project'] as const)(
      'a deployment that starts while its %s is deleted is gone with it',
      async (what) => {
        const clock = fakeClock();
        const { both } = await racers({ clock });
        for (let round = 0; round < 6; round++) {
          const client = both(round);
          const { id: projectId } = await unwrap(client.projects.create({ name: `P ${round}` }));
          const fullName = `acme/shop-${round}`;
          const repo = await unwrap(client.deployments.repos.register({ provider: 'github', fullName }));
          const wanted = { projectId, repoId: repo.id, environment: 'x', branch: 'b' };
          const environment = await unwrap(client.deployments.environments.ensure(wanted));
          const started: Deployment[] = [];
          const answers = await together(8, async (index) => {
            const { deployments, projects } = both(index);
            for (let turn = index * round * 3; turn > 0; turn--) await Promise.resolve();
            if (index === 3) {
              return untilSettled(() => {
                if (what === 'project') return codeOf(projects.delete(projectId));
                return codeOf(
                  what === 'environment'
                    ? deployments.environments.delete(environment.id)
                    : deployments.repos.delete(repo.id),
                );
              });
            }
            const start = { projectEnvironmentId: environment.id, gitRef: 'main', sha: commit('1') };
            if (index % 2 === 0) return untilSettled(() => keeping(started, deployments.start(start)));
            if (what === 'environment') return untilSettled(() => codeOf(deployments.latest(environment.id)));
            if (index === 5)
              return untilSettled(() => codeOf(deployments.environments.ensure({ ...wanted, environment: 'y' })));
            return untilSettled(() =>
              codeOf(deployments.apps.create({ projectId, repoId: repo.id, name: `${index}` })),
            );
          });
          expect(answers[3]).toBe('ok');
          expect(answers.filter((code) => !['ok', 'not_found', 'app_exists'].includes(code))).toEqual([]);
          for (const { id } of started) expect(await codeOf(client.deployments.get(id))).toBe('not_found');
          expect(await codeOf(client.deployments.environments.get(environment.id))).toBe('not_found');
          const branches = { repoId: repo.id, branch: 'b' };
          expect((await unwrap(client.deployments.environments.getByBranch(branches))).items).toEqual([]);
          for (const filter of [{ projectId }, { repoId: repo.id }]) {
            expect((await unwrap(client.deployments.environments.list(filter))).items).toEqual([]);
          }
        }
        expect((await unwrap(both(0).deployments.apps.list())).items).toEqual([]);
        clock.advance(24 * 3_600_000);
        expect(await unwrap(both(0).deployments.sweep({ limit: 1_000 }))).toEqual([]);
      },
    );

    test('a deadline and a report that meet leave a deployment that has ended once', async () => {
      const clock = fakeClock();
      const { both } = await racers({ clock });
      const { projectId, repo } = await makeEnvironment(both(0));
      const overdue: Deployment[] = [];
      for (let index = 0; index < 12; index++) {
        const wanted = { projectId, repoId: repo.id, environment: `e${index}` };
        const environment = await unwrap(both(0).deployments.environments.ensure(wanted));
        overdue.push(await deploy(both(0), environment, 'running'));
      }
      clock.advance(3_600_000);
      const [swept, ...reports] = await Promise.all([
        unwrap(both(0).deployments.sweep()),
        ...overdue.map(({ id }, index) =>
          untilSettled(() => codeOf(both(index).deployments.report(id, { status: 'success' }))),
        ),
      ]);
      const timedOut = new Set(swept.filter(({ outcome }) => outcome === 'done').map((one) => one.deploymentId));
      for (const [index, { id }] of overdue.entries()) {
        const deployment = await unwrap(both(0).deployments.get(id));
        expect([deployment.status, reports[index]]).toEqual(
          timedOut.has(id) ? ['failed', 'illegal_transition'] : ['success', 'ok'],
        );
      }
    });
  });

  /** Clients of one org on two storages, one after the other. */
  async function racers(options: Parameters<Suite['vivarium']>[0] = {}) {
    const org = suite.newOrg();
    const storages = [suite.harness.storage, await suite.other()];
    const of = storages.map((storage) => suite.vivarium({ storage, ...options }).as({ org, type: 'user', id: 'ada' }));
    return { org, both: (index: number): Client<unknown> => of[index % 2]! };
  }
}

/** Reads on and on, and expects of every look that what is latest, and what is live, is what the environment says, and never older than the look before. */
function watch({ deployments }: Client<unknown>, environmentId: string): { stop(): Promise<void> } {
  let stopped = false;
  const sequenceOf = async (id: string | null) => (id === null ? 0 : (await unwrap(deployments.get(id))).sequence);
  const watching = (async () => {
    let [latest, live] = [0, 0];
    for (let looks = 0; !stopped || looks < 2; looks++) {
      await aWhile();
      const place = await unwrap(deployments.environments.get(environmentId));
      expect(await sequenceOf(place.latestDeployment)).toBe(place.deploymentSequence);
      expect(place.deploymentSequence).toBeGreaterThanOrEqual(latest);
      latest = place.deploymentSequence;
      const active = await sequenceOf(place.activeDeployment);
      expect(active).toBeGreaterThanOrEqual(live);
      expect(active).toBeLessThanOrEqual(latest);
      live = active;

      const newest = await unwrap(deployments.latest(environmentId));
      expect(newest?.sequence ?? 0).toBeGreaterThanOrEqual(latest);
      latest = newest?.sequence ?? 0;
      const { items } = await unwrap(deployments.environments.list({ projectId: place.projectId }));
      const listed = items.find(({ id }) => id === environmentId);
      expect(listed?.latest?.id ?? null).toBe(listed?.latestDeployment);
      expect(listed?.latest?.sequence ?? 0).toBe(listed?.deploymentSequence);
      expect(listed?.deploymentSequence).toBeGreaterThanOrEqual(latest);
    }
  })();
  // Awaited when it is stopped; until then its failure is nobody's unhandled one.
  watching.catch(() => undefined);
  return {
    stop() {
      stopped = true;
      return watching;
    },
  };
}

/** What became of each deployment, from the events alone, in the order in which they were written. */
async function byTheJournal({ journal }: Client<unknown>, environmentId: string): Promise<Map<string, string>> {
  const subject = { type: 'project_environment', id: environmentId };
  const entries = (await everything((page) => journal.list({ subject, ...page }))).toSorted(
    (a, b) => a.sequence - b.sequence,
  );
  expect(entries.map(({ sequence }) => sequence)).toEqual(oneTo(entries.length));
  const statuses = new Map<string, string>();
  let live: { readonly id: string; readonly sequence: number } | null = null;
  for (const { action, data } of entries) {
    const { deploymentId: id, deployment: sequence } = data as { deploymentId: string; deployment: number };
    if (action === 'deployment.started') statuses.set(id, 'created');
    if (['deployment.running', 'deployment.failed', 'deployment.canceled'].includes(action)) {
      statuses.set(id, action.slice('deployment.'.length));
    }
    if (action !== 'deployment.success') continue;
    const before: { readonly id: string; readonly sequence: number } | null = live;
    if (before !== null && sequence < before.sequence) {
      statuses.set(id, 'superseded');
      continue;
    }
    if (before !== null) statuses.set(before.id, 'inactive');
    statuses.set(id, 'success');
    live = { id, sequence };
  }
  return statuses;
}

async function keeping(into: Deployment[], answer: ResultAsync<Deployment, VivariumError>): Promise<string> {
  return codeOf(answer.map((deployment) => void into.push(deployment)));
}

function inSequence(deployments: readonly Deployment[]): Deployment[] {
  return deployments.toSorted((a, b) => a.sequence - b.sequence);
}

function oneTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
