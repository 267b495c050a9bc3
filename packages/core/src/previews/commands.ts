/** Commands on a preview that is there: load, decide, write once, and tell a worker. */
import { again, checkVersion, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf, Method } from '../errors.ts';
import { NotFound } from '../kernel/errors.ts';
import type { IllegalTransition } from '../kernel/errors.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import type { Eventually, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { currentOf, expecting, noteOf, present, send, writeOf } from './changing.ts';
import type { Preview, StoredPreview } from './model.ts';
import type { PreviewFacts } from './repository.ts';
import { toPreview } from './rules.ts';
import type { PreviewChange } from './rules.ts';
import { track } from './tracking.ts';

/** The methods that ask something of a preview that is there. */
export type Asking = Extract<Method, `previews.${'restart' | 'stop' | 'remove' | 'forget' | 'approve'}`>;

export function askOf<M extends Asking>(
  scope: Scope,
  called: { readonly method: M; readonly action: string; readonly target: string; readonly input?: unknown },
  options: CommandOptions,
  decide: (preview: StoredPreview, at: Date) => Result<PreviewChange | null, IllegalTransition>,
): Promise<Result<Preview, ErrorOf<M>>> {
  const { storage } = scope.ports;
  const { target } = called;

  const attempt = ({ at, change }: Attempt, { found }: Loaded<PreviewFacts>) =>
    safeTry(async function* () {
      const facts = yield* present(found, target);
      yield* checkVersion('preview', facts.preview, options.expectedVersion);
      const decided = yield* decide(facts.preview, at);
      if (decided === null) return ok(toPreview(facts.preview));
      const write = writeOf(scope, facts, decided, at, (told) =>
        change(noteOf(called.action, told), { id: target, version: told.version }),
      );
      const written = yield* storage.previews.write({ ...write, ...expecting(facts) });
      if (!written.done) {
        if (written.refused === 'key_taken') return ok(written.record);
        return written.refused === 'not_found' ? err(new NotFound('preview', target)) : ok(again);
      }
      track(scope, facts.preview, write.preview);
      await send(scope, write.message);
      return ok(toPreview(write.preview));
    }) as Eventually<Preview | Again, ErrorOf<M>>;

  return command<M, Loaded<PreviewFacts>, Preview>(
    scope,
    { method: called.method, target: { type: 'preview', id: target }, options, input: [target, called.input ?? null] },
    {
      load: (keyId) => storage.previews.facts(scope.caller.org, target, keyId),
      replay: () => currentOf(scope, target) as Eventually<Preview, ErrorOf<M>>,
      attempt,
    },
  ) as Promise<Result<Preview, ErrorOf<M>>>;
}
