import { legalPreviewCommands, previewEvents, previewLifecycle, previewStatuses, unwrap } from '@vivarium/core';
import type { Preview, PreviewEvent, PreviewStatus } from '@vivarium/core';
import type { StoredPreview } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { commit } from './every-deployment-call.ts';
import { next } from './ephemeral-making.ts';
import { failing, messageAbout, previewing } from './previews-making.ts';
import type { Previewing } from './previews-making.ts';
import { previewWriterOf } from './previews-stored.ts';
import type { Suite } from './suite.ts';

const isIn = (statuses: readonly string[] | undefined, status: string) => statuses?.includes(status) === true;

/** Every row of the table of previews, and every event that is not in it, from the table itself. */
export function testPreviewLifecycle(suite: Suite): void {
  describe('the life of a preview', () => {
    test.each(previewEvents)('%s: is done, waits, or is refused, in every status as the table says', async (event) => {
      const here = await previewing(suite);
      for (const [index, status] of previewStatuses.entries()) {
        const { before, after, answer } = await inStatus(here, status, index + 1, event);
        const { from, to, newRun = false, waits } = previewLifecycle[event];
        const what = `${event} in ${status}`;
        const generation = before.generation + (newRun ? 1 : 0);
        if (isExempt(event, status)) {
          expect({ what, ...after }).toMatchObject({ what, ...exemptions(event, status, before) });
        } else if (isIn(from, status)) {
          expect({ what, ...after }).toMatchObject({ what, status: to, generation, pendingCommand: null });
        } else if (isIn(waits, status)) {
          expect({ what, ...after }).toMatchObject({ what, status, generation: 1, pendingCommand: { type: event } });
        } else {
          expect({ what, ...after }).toMatchObject({ what, status, generation: 1, pendingCommand: null });
          if (isCommand(event)) {
            expect([what, answer]).toEqual([what, 'illegal_transition']);
            expect(after).toEqual(before);
          }
        }
      }
    });

    test('what is refused says what could be asked for instead', async () => {
      const here = await previewing(suite);
      for (const [index, status] of previewStatuses.entries()) {
        const preview = await put(here, status, index + 1);
        const legal = legalPreviewCommands(status);
        const { previews } = here.client;
        const asked = {
          restart: () => previews.restart(preview.id),
          stop: () => previews.stop(preview.id),
          remove: () => previews.remove(preview.id),
          forget: () => previews.forget(preview.id, { note: 'gone' }),
        };
        for (const [event, call] of Object.entries(asked)) {
          if (legal.includes(event as PreviewEvent)) continue;
          expect(await refused(call(), 'illegal_transition')).toMatchObject({ state: status, change: event, legal });
        }
      }
    });

    test('what is in error and may have a runtime is not removed', async () => {
      const here = await previewing(suite);
      const [with_, without] = [
        await put(here, 'error', 1, { hasRuntime: true }),
        await put(here, 'error', 2, { hasRuntime: false }),
      ];
      await refused(here.client.previews.remove(with_.id), 'illegal_transition');
      expect(await unwrap(here.client.previews.remove(without.id))).toMatchObject({ status: 'deleted' });
    });

    test('of the commands that wait the most recent counts, and each that waits is done as soon as it can be', async () => {
      const here = await previewing(suite);
      const { client, outside, org, now } = here;
      const preview = await put(here, 'initializing', 1);
      const { previews } = client;
      const waiting = async () => (await now(preview)).pendingCommand;
      await unwrap(previews.stop(preview.id));
      expect(await waiting()).toEqual({ type: 'stop', sha: null, cause: 'asked' });
      await unwrap(previews.restart(preview.id));
      expect(await waiting()).toEqual({ type: 'restart', sha: null, cause: null });
      await unwrap(previews.stop(preview.id));
      // Whoever asks for it again does not want it stopped.
      await here.create('a');
      expect(await waiting()).toBe(null);
      await unwrap(previews.stop(preview.id));
      expect(await unwrap(previews.handle(messageAbout(org, preview)))).toBe('deploying');
      expect(await now(preview)).toMatchObject({ status: 'stopping', pendingCommand: null, stopCause: 'asked' });

      // Reopened while it stops, and stopped again: that withdraws it, and says who wanted so.
      await here.create('b');
      expect(await waiting()).toEqual({ type: 'create', sha: commit('b'), cause: null });
      await unwrap(previews.restart(preview.id));
      expect(await waiting()).toMatchObject({ type: 'restart' });
      await unwrap(previews.stop(preview.id));
      expect(await waiting()).toBe(null);
      await refused(previews.stop(preview.id), 'illegal_transition');
      await here.create('c');
      await unwrap(previews.handle(messageAbout(org, await now(preview))));
      expect(await now(preview)).toMatchObject({
        status: 'initializing',
        generation: 2,
        sha: commit('c'),
        stopCause: null,
        pendingCommand: null,
      });
      expect(outside.runtimes).toEqual([]);
    });

    test('a restart that waits is done when the run ends, whichever way, and not before', async () => {
      for (const [index, ends] of (['running', 'error'] as const).entries()) {
        const here = await previewing(suite);
        const preview = await put(here, 'deploying', index + 1);
        await unwrap(here.client.previews.restart(preview.id));
        await here.report(preview, { status: 'tests_started' });
        expect(await here.now(preview)).toMatchObject({ status: 'running_tests', pendingCommand: { type: 'restart' } });
        await here.report(preview, { status: ends });
        expect(await here.now(preview)).toMatchObject({ status: 'initializing', generation: 2, pendingCommand: null });
      }
    });
  });

  /** A preview that has got into this status with its first run, whose runtime may be there, and can report. */
  async function put(
    here: Previewing,
    status: PreviewStatus,
    pullRequest: number,
    differing: Partial<StoredPreview> = {},
  ): Promise<Preview> {
    const { client, org } = here;
    const preview = await here.create('a', { pullRequest });
    await unwrap(client.previews.handle(messageAbout(org, preview)));
    const { previews } = suite.harness.storage;
    const { found } = await unwrap(previews.facts(org, preview.id));
    const gone = status === 'stopped' || status === 'deleted';
    const there = next(found!.preview, { status, hasRuntime: !gone, deadline: null, ...differing });
    const environment = { ...found!.environment, version: there.version };
    await previewWriterOf(suite.harness.storage, org).write(there, { environment });
    here.outside.take(org);
    return here.now(preview);
  }

  /** Lets one thing happen to a preview in this status, through the API or the port that it comes from. */
  async function inStatus(here: Previewing, status: PreviewStatus, pullRequest: number, event: PreviewEvent) {
    const { client, outside, org } = here;
    const { previews } = client;
    const before = await put(here, status, pullRequest, event === 'remove' ? { hasRuntime: false } : {});
    const { id } = before;
    const happen = async (): Promise<string> => {
      switch (event) {
        case 'create':
          await here.create('a', { pullRequest });
          return 'ok';
        case 'restart':
          return codeOf(previews.restart(id));
        case 'stop':
          return codeOf(previews.stop(id));
        case 'remove':
          return codeOf(previews.remove(id));
        case 'forget':
          return codeOf(previews.forget(id, { note: 'gone' }));
        case 'runtime_accepted':
        case 'runtime_gone':
          if ((event === 'runtime_gone') === (status === 'stopping'))
            return codeOf(previews.handle(messageAbout(org, before)));
          // Of the other kind of work: what a worker did too late for it is not done.
          return codeOf(previews.handle({ ...messageAbout(org, before), sequence: 1 }));
        case 'stop_failed':
          if (status === 'stopping') failing(outside, 'before', 'remove', { refused: true });
          return codeOf(previews.handle(messageAbout(org, before)));
        case 'tests_started':
        case 'running':
        case 'error':
          return here.report(before, { status: event });
      }
    };
    const answer = await happen();
    return { before, answer, after: await here.now(before) };
  }
}

const isCommand = (event: PreviewEvent) => ['create', 'restart', 'stop', 'remove', 'forget'].includes(event);

/** Where an event is said in another way than by its name. */
function isExempt(event: PreviewEvent, status: PreviewStatus): boolean {
  if (event === 'create') return status !== 'stopping' && status !== 'stopped' && status !== 'deleted';
  // A worker looks at what it finds: one that comes for something else does what is waiting.
  if (event === 'runtime_accepted' || event === 'stop_failed')
    return status === 'stopping' || status === 'initializing';
  if (event === 'runtime_gone') return status === 'initializing';
  // Whoever can sign for a run has taken it on.
  return (event === 'tests_started' || event === 'running') && status === 'initializing';
}

/** What becomes of a preview there. */
function exemptions(event: PreviewEvent, status: PreviewStatus, before: Preview): Partial<Preview> {
  if (event === 'create') {
    // Asked for again: where it has ended it runs once more, where it is under way or runs it carries on.
    const ended = status === 'error' || status === 'stop_error';
    return ended ? { status: 'initializing', generation: 2 } : { status, generation: 1, version: before.version };
  }
  if (event === 'tests_started' || event === 'running') {
    return { status: event === 'running' ? 'running' : 'running_tests', generation: 1 };
  }
  if (status === 'initializing') return { status: 'deploying', generation: 1 };
  return event === 'stop_failed' ? { status: 'stop_error' } : { status: 'stopped' };
}
