import { describe, expect, it } from 'vitest';

import {
  buildEvents,
  buildLifecycle,
  buildStatuses,
  finalBuildStatuses,
  legalBuildEvents,
} from '../../src/builds/lifecycle.ts';
import type { BuildEvent } from '../../src/builds/lifecycle.ts';
import type { BuildMove, StoredBuild } from '../../src/builds/model.ts';
import type { IllegalTransition } from '../../src/kernel/errors.ts';
import type { Result } from '../../src/kernel/result.ts';
import { after, buildThatIs, cancel, complete, enter, fail, failure, made, refusal, resume } from './building.ts';

/** Each event as it happens to a build. */
const happening: Readonly<Record<BuildEvent, (build: StoredBuild) => Result<BuildMove, unknown>>> = {
  enter: (build) => enter(build, 100, made('next', 40)),
  complete: (build) => complete(build, build.currentState, after(40)),
  fail: (build) => fail(build, failure, made('next', 40)),
  resume: (build) => resume(build, made('next', 40)),
  cancel: (build) => cancel(build, after(40)),
};

describe('the table of what happens to builds', () => {
  it('is as it is drawn in the docs', () => {
    expect(buildLifecycle).toEqual({
      enter: { from: ['pending', 'running'], to: 'running' },
      complete: { from: ['running'], to: 'running', atLast: 'completed' },
      fail: { from: ['running'], to: 'failed' },
      resume: { from: ['failed'], to: 'running' },
      cancel: { from: ['pending', 'running', 'failed'], to: 'canceled' },
    });
  });

  it('leads on from every status but the final ones, and every status is reached', () => {
    for (const status of buildStatuses) {
      expect([status, legalBuildEvents(status).length === 0]).toEqual([status, finalBuildStatuses.has(status)]);
    }
    const reached = buildEvents.flatMap((event) =>
      [buildLifecycle[event].to, buildLifecycle[event].atLast ?? []].flat(),
    );
    expect(new Set(['pending', ...reached])).toEqual(new Set(buildStatuses));
  });

  const pairs = buildStatuses.flatMap((status) => buildEvents.map((event) => [status, event] as const));

  it.each(pairs)(
    '%s, %s: happens where the table has it, and is refused elsewhere with what is legal',
    (status, event) => {
      const build = buildThatIs[status];
      expect(build.status).toBe(status);
      const before = structuredClone(build);
      const happened = happening[event](build);
      expect(build, 'what is given is not changed').toEqual(before);
      if (buildLifecycle[event].from.includes(status)) {
        const move = happened._unsafeUnwrap();
        expect(move.build).toMatchObject({
          status: buildLifecycle[event].to,
          version: build.version + 1,
          updatedAt: after(40),
        });
        return;
      }
      const error = refusal(happened) as IllegalTransition;
      expect(error).toMatchObject({ code: 'illegal_transition', resource: 'build', legal: legalBuildEvents(status) });
      expect(error.state).toBe(build.attempts === 0 ? status : `${status} at ${build.currentState}`);
    },
  );

  it('completes a build only at 100', () => {
    expect(complete(buildThatIs.running, 50, after(40))._unsafeUnwrap().build.status).toBe('running');
    const last = enter(buildThatIs.running, 100, made('next', 20))._unsafeUnwrap().build;
    expect(complete(last, 100, after(40))._unsafeUnwrap().build.status).toBe('completed');
  });
});
