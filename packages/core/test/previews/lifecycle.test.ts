import { describe, expect, test } from 'vitest';

import { ok } from '../../src/kernel/result.ts';
import type { Result } from '../../src/kernel/result.ts';
import type { IllegalTransition } from '../../src/kernel/errors.ts';
import {
  busyPreviewStatuses,
  legalPreviewCommands,
  previewEvents,
  previewLifecycle,
  previewStatuses,
} from '../../src/previews/lifecycle.ts';
import type { PreviewEvent, PreviewStatus } from '../../src/previews/lifecycle.ts';
import type { StoredPreview } from '../../src/previews/model.ts';
import {
  ask,
  failed,
  forget,
  remove,
  reported,
  runtimeAccepted,
  runtimeGone,
  stopFailed,
} from '../../src/previews/rules.ts';
import type { PreviewChange } from '../../src/previews/rules.ts';
import { at, first, preview, second } from './making.ts';

const report = (generation: number, status: 'tests_started' | 'running' | 'error') => ({
  version: 1 as const,
  orgId: 'acme',
  projectEnvironmentId: preview().id,
  generation,
  sequence: 1,
  status,
});

/** How each event of the table comes about. */
const cause: Record<PreviewEvent, (before: StoredPreview) => Result<PreviewChange | null, IllegalTransition>> = {
  create: (before) => ask(before, { type: 'create', sha: second, cause: null }, at),
  restart: (before) => ask(before, { type: 'restart', sha: null, cause: null }, at),
  stop: (before) => ask(before, { type: 'stop', sha: null, cause: 'asked' }, at),
  remove: (before) => remove(before, at),
  forget: (before) => forget(before, 'looked: it is gone', at),
  runtime_accepted: (before) => ok(runtimeAccepted(before, 1, 'r', at)),
  tests_started: (before) => ok(applied(before, 'tests_started')),
  running: (before) => ok(applied(before, 'running')),
  error: (before) => ok(failed(before, 1, 'why', at)),
  runtime_gone: (before) => ok(runtimeGone(before, 1, at)),
  stop_failed: (before) => ok(stopFailed(before, 1, 'why', at)),
};

function applied(before: StoredPreview, status: 'tests_started' | 'running'): PreviewChange | null {
  const outcome = reported(before, report(1, status), at);
  return 'applied' in outcome ? outcome.applied : null;
}

const commands: readonly PreviewEvent[] = ['create', 'restart', 'stop', 'remove', 'forget'];
const pairs = previewStatuses.flatMap((status) => previewEvents.map((event) => [status, event] as const));

/** In these, what the table does not have comes to something else, on purpose. */
const otherwise: readonly (readonly [PreviewStatus, PreviewEvent, PreviewStatus])[] = [
  // A create of what is there is a restart with the new commit, at once or when the run under way ends.
  ['running', 'create', 'initializing'],
  ['error', 'create', 'initializing'],
  ['stop_error', 'create', 'initializing'],
  ['initializing', 'create', 'initializing'],
  ['deploying', 'create', 'deploying'],
  ['running_tests', 'create', 'running_tests'],
  // Whoever can sign for a run has taken it on.
  ['initializing', 'tests_started', 'running_tests'],
  ['initializing', 'running', 'running'],
];

describe('the table of previews', () => {
  test('has every event, leads to statuses that there are, and lets no command wait where nothing settles', () => {
    expect(Object.keys(previewLifecycle).toSorted()).toEqual([...previewEvents].toSorted());
    for (const { to, waits = [] } of Object.values(previewLifecycle)) {
      expect(previewStatuses).toContain(to);
      for (const status of waits) expect(busyPreviewStatuses).toContain(status);
    }
  });

  test.each(pairs)('%s: %s', (status, event) => {
    const before = preview({ status, sha: first, headSha: first });
    const { from, to, waits = [] } = previewLifecycle[event];
    const after = cause[event](before);
    const exception = otherwise.find(([one, other]) => one === status && other === event);

    if (from.includes(status)) {
      const change = after._unsafeUnwrap()!;
      expect(change.preview).toMatchObject({ status: to, version: 2, updatedAt: at });
      expect(change.preview.deadline === null).toBe(!busyPreviewStatuses.has(to));
    } else if (exception !== undefined) {
      expect(after._unsafeUnwrap()?.preview.status).toBe(exception[2]);
    } else if (waits.includes(status)) {
      const change = after._unsafeUnwrap()!;
      expect(change.preview).toMatchObject({ status, pendingCommand: { type: event } });
      expect(change).toMatchObject({ begun: false, run: [], work: false });
    } else if (commands.includes(event)) {
      expect(after._unsafeUnwrapErr()).toMatchObject({ code: 'illegal_transition', state: status, change: event });
      expect(after._unsafeUnwrapErr().legal).toEqual(legalPreviewCommands(status));
    } else {
      expect(after._unsafeUnwrap()).toBeNull();
    }
  });

  test('a run of its own begins with create and restart, and with nothing else', () => {
    for (const event of previewEvents) {
      const status = previewLifecycle[event].from.find((one): one is PreviewStatus => one !== 'none')!;
      const change = cause[event](preview({ status }))._unsafeUnwrap()!;
      expect([event, change.begun]).toEqual([event, event === 'create' || event === 'restart']);
      expect(change.preview.generation).toBe(change.begun ? 2 : 1);
    }
  });

  test('an error without a runtime can be removed, and one with a runtime has to be stopped first', () => {
    expect(remove(preview({ status: 'error' }), at).isOk()).toBe(true);
    expect(remove(preview({ status: 'error', hasRuntime: true }), at)._unsafeUnwrapErr().code).toBe(
      'illegal_transition',
    );
  });
});
