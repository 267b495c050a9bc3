/** How a build comes to be: load what it refers to, decide, write once. Builds that start here and those that were run elsewhere go the same way. */
import { again, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf } from '../errors.ts';
import { NotFound } from '../kernel/errors.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import type { Eventually, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { BuildNumberTaken } from './errors.ts';
import type { ReplayedHistory } from './history.ts';
import { builtInMilestones } from './model.ts';
import type { Build, Milestone, StoredBuild } from './model.ts';
import { current } from './moving.ts';
import type { StartFacts } from './repository.ts';
import { toBuild } from './rules.ts';
import type { NewBuild } from './rules.ts';

type Adds = 'builds.start' | 'builds.import';

export function add<M extends Adds>(
  scope: Scope,
  called: { readonly method: M; readonly action: string; readonly wanted: NewBuild; readonly options: CommandOptions },
  make: (
    plan: { readonly version: number; readonly milestones: readonly Milestone[] },
    made: { readonly id: string; readonly at: Date },
  ) => Result<ReplayedHistory, ErrorOf<M>>,
): Promise<Result<Build, ErrorOf<M>>> {
  const { storage, ids } = scope.ports;
  const { wanted, action } = called;
  const { buildNumber, projectId = null, platformId, osVersionId, imageTypeId } = wanted;

  const attempt = ({ at, change }: Attempt, facts: StartFacts) =>
    safeTry(async function* () {
      yield* checkReferences(wanted, facts);
      const plan = facts.plan ?? { version: 0, milestones: builtInMilestones };
      const added = yield* make(plan, { id: ids.next(), at });
      const written = yield* storage.builds.add({
        ...added,
        change: change(noteOf(action, added.build), { id: added.build.id }),
      });
      if (written.done) return ok(toBuild(added.build));
      switch (written.refused) {
        case 'key_taken':
          return ok(written.record);
        case 'number_taken':
          return err(new BuildNumberTaken(buildNumber));
        case 'gone':
          return ok(again);
      }
    }) as Eventually<Build | Again, ErrorOf<M>>;

  return command<M, StartFacts & Pick<Loaded<never>, 'key'>, Build>(
    scope,
    { method: called.method, target: { type: 'build', id: buildNumber }, options: called.options, input: wanted },
    {
      load: (keyId) =>
        storage.builds.startFacts(scope.caller.org, { projectId, platformId, osVersionId, imageTypeId }, keyId),
      replay: (kept) => current(scope, kept['id'] as string, null) as Eventually<Build, ErrorOf<M>>,
      attempt,
    },
  ) as Promise<Result<Build, ErrorOf<M>>>;
}

function checkReferences(wanted: NewBuild, facts: StartFacts): Result<void, NotFound> {
  if (!facts.project) return err(new NotFound('project', wanted.projectId ?? null));
  if (!facts.platform) return err(new NotFound('platform', wanted.platformId));
  if (!facts.osVersion) return err(new NotFound('OS version', wanted.osVersionId));
  return facts.imageType ? ok(undefined) : err(new NotFound('image type', wanted.imageTypeId));
}

function noteOf(action: string, { id, buildNumber, projectId, status, currentState: state }: StoredBuild) {
  return {
    subject: { type: 'build', id },
    action,
    sequence: 1,
    data: { buildNumber, projectId, status, state },
  };
}
