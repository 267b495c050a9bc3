import { unwrap } from '@vivarium/core';
import type { Client } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, tally, together } from './answers.ts';
import { commit } from './every-deployment-call.ts';
import { everything } from './paging.ts';
import { messageAbout, previewing, workedOn } from './previews-making.ts';
import type { Previewing } from './previews-making.ts';
import { untilSettled } from './races.ts';
import { seededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

const clients = 24;

/** Many clients at once, in two storages on one database: what must hold of previews under any interleaving. */
export function testPreviewRaces(suite: Suite): void {
  describe('races of previews', () => {
    test('of 24 that ask for one preview at once all get the same one, with one run', async () => {
      const { here, both } = await racers();
      const { app, outside } = here;
      for (let pullRequest = 1; pullRequest <= 4; pullRequest++) {
        const made = await together(clients, (index) =>
          unwrap(both(index).previews.create({ appId: app.id, pullRequest, branch: 'feature', sha: commit('a') })),
        );
        expect(new Set(made.map(({ id }) => id)).size).toBe(1);
        const { items } = await unwrap(here.client.deployments.history({ projectEnvironmentId: made[0]!.id }));
        expect(items).toHaveLength(1);
      }
      expect((await unwrap(here.client.previews.list({ appId: app.id }))).items).toHaveLength(4);
      await here.deliver();
      expect(outside.runtimes).toHaveLength(4);
      expect(outside.comments).toHaveLength(4);
    });

    test('24 workers with the same message make one runtime and one comment, and journal it once', async () => {
      const { here, both } = await racers();
      const { outside, org } = here;
      const preview = await here.create();
      const message = messageAbout(org, preview);
      const came = await together(clients, (index) => workedOn(both(index).previews.handle(message)));
      expect(came).toContain('deploying');
      await here.deliver();
      expect(outside.runtimes).toHaveLength(1);
      expect(outside.comments).toHaveLength(1);
      expect(await here.now(preview)).toMatchObject({ status: 'deploying', generation: 1 });
      expect(await here.report(preview, { status: 'running' })).toBe('applied');
      const entries = await everything((page) =>
        here.client.journal.list({ subject: { type: 'project_environment', id: preview.id }, ...page }),
      );
      expect(entries.map(({ action }) => action).toReversed()).toEqual([
        'preview.created',
        'preview.preparing',
        'preview.deploying',
        'preview.running',
      ]);
    });

    test('a report and a stop at once: it is stopped, whichever was first, and no runtime is left', async () => {
      const { here, both } = await racers();
      for (let pullRequest = 1; pullRequest <= 6; pullRequest++) {
        const preview = await here.create('a', { pullRequest });
        await here.deliver();
        const report = here.outside.report(`${preview.id}-1`, { status: 'running' });
        const answers = await Promise.all([
          untilSettled(() => codeOf(both(0).previews.report(report))),
          untilSettled(() => codeOf(both(1).previews.stop(preview.id))),
        ]);
        expect(answers).toEqual(['ok', 'ok']);
        await here.deliver();
        expect(await here.now(preview)).toMatchObject({ status: 'stopped', hasRuntime: false });
      }
      expect(here.outside.runtimes).toEqual([]);
    });

    test('24 copies of a report count once', async () => {
      const { here, both } = await racers();
      const preview = await here.create();
      await here.deliver();
      const report = here.outside.report(`${preview.id}-1`, { status: 'running' });
      const answers = await together(clients, async (index) => (await unwrap(both(index).previews.report(report))).why);
      expect(tally(answers)).toEqual({ applied: 1, older_report: clients - 1 });
    });

    test('a worker and the deletion of its app: a runtime never outlives its app unnoticed', async () => {
      for (let round = 0; round < 6; round++) {
        const { here, both } = await racers();
        const { app, org, outside } = here;
        const preview = await here.create();
        const random = seededRandom(suite.size.seed + round);
        let deleted = '';
        const [worked] = await Promise.all([
          untilSettled(() => workedOn(both(0).previews.handle(messageAbout(org, preview)))),
          (async () => {
            for (let turn = Math.floor(random.next() * 60); turn > 0; turn--) await Promise.resolve();
            deleted = await untilSettled(() => codeOf(both(1).deployments.apps.delete(app.id)));
          })(),
        ]);
        if (deleted === 'ok') {
          expect(outside.runtimes).toEqual([]);
          expect(['idle', 'overtaken', 'preview_step_failed', 'unsealing_failed']).toContain(worked);
        } else {
          expect(deleted).toBe('has_live_previews');
          await here.deliver();
          expect(await here.now(preview)).toMatchObject({ hasRuntime: true });
        }
      }
    });

    test('whatever is asked for at once, the latest deployment never goes back, and all comes to rest with one runtime or none', async () => {
      const { here, both } = await racers();
      const { client, outside, org } = here;
      const preview = await here.running();
      const watching = watch(both(1), preview.id);
      const random = seededRandom(suite.size.seed);
      const delivering = { done: false };
      const worker = (async () => {
        for (;;) {
          const messages = outside.take(org);
          for (const message of messages) await workedOn(client.previews.handle(message));
          if (messages.length === 0 && delivering.done) return;
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      await together(clients, async (index) => {
        for (let turn = Math.floor(random.next() * 400); turn > 0; turn--) await Promise.resolve();
        const { previews } = both(index);
        const wanted = { appId: here.app.id, pullRequest: 1, branch: 'feature', sha: commit((index % 10).toString()) };
        const drawn = random.next();
        const asked = () =>
          drawn < 0.3
            ? codeOf(previews.stop(preview.id))
            : drawn < 0.6
              ? codeOf(previews.restart(preview.id))
              : codeOf(previews.create(wanted));
        const code = await untilSettled(asked);
        expect(['ok', 'illegal_transition', 'stale_version']).toContain(code);
      });
      delivering.done = true;
      await worker;
      await unwrap(client.previews.sweep());
      await here.deliver();
      await watching.stop();
      const after = await here.now(preview);
      expect(['deploying', 'running', 'stopped']).toContain(after.status);
      const keys = outside.runtimes.map(({ key }) => key);
      expect(keys).toEqual(after.status === 'stopped' ? [] : [`${preview.id}-${after.generation}`]);
      expect(outside.comments).toHaveLength(1);
      const history = await everything((page) =>
        client.deployments.history({ projectEnvironmentId: preview.id, ...page }),
      );
      expect(history.map(({ sequence }) => sequence)).toEqual(
        Array.from({ length: after.generation }, (_, index) => after.generation - index),
      );
      expect(history[0]!.id).toBe(after.run);
      expect(history.slice(1).every(({ status }) => status !== 'created' && status !== 'running')).toBe(true);
    });
  });

  async function racers() {
    const here: Previewing = await previewing(suite);
    const both_ = [here.client, here.another({ storage: await suite.other() })];
    return { here, both: (index: number): Client<unknown> => both_[index % 2]! };
  }
}

/** Looks at the pointers of an environment, again and again, until it is stopped: its latest deployment has a higher sequence each time that it is another one. */
function watch({ deployments }: Client<unknown>, projectEnvironmentId: string) {
  const seen: number[] = [];
  const state = { isOver: false };
  const looking = (async () => {
    do {
      const latest = await deployments.latest(projectEnvironmentId);
      if (latest.isOk() && latest.value !== null) seen.push(latest.value.sequence);
      await new Promise((resolve) => setImmediate(resolve));
    } while (!state.isOver);
  })();
  return {
    async stop() {
      state.isOver = true;
      await looking;
      expect(seen.length).toBeGreaterThan(1);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    },
  };
}
