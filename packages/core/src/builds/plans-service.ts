import * as z from 'zod';

import { again, command } from '../command.ts';
import { NotFound } from '../kernel/errors.ts';
import { commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import { displayName } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { builtInMilestones, lastMilestone, milestone } from './model.ts';
import type { MilestonePlan } from './model.ts';
import { nextPlan } from './rules.ts';

const milestones = z
  .array(z.union([milestone, z.strictObject({ state: milestone, name: displayName.nullish() })]))
  .min(1)
  .max(101)
  .superRefine((given, ctx) => {
    const seen = new Set<number>();
    given.forEach((one, index) => {
      const state = typeof one === 'number' ? one : one.state;
      if (seen.has(state)) ctx.addIssue({ code: 'custom', path: [index], message: 'must be unique' });
      seen.add(state);
    });
    if (!seen.has(lastMilestone)) {
      ctx.addIssue({ code: 'custom', message: `must have ${lastMilestone}, which completes a build` });
    }
  });

const defineInput = z.strictObject({ projectId: id, milestones, ...commandOptions });
const getInput = z.strictObject({ projectId: id, version: z.int().min(0).max(2_147_483_647).optional() });

const ofProject = ([{ projectId }]: readonly [{ readonly projectId: string }]) => [
  { type: 'milestone_plan', projectId },
];

const methods = {
  define: method('builds.milestonePlans.define', [''], z.tuple([defineInput]), ofProject),
  get: method('builds.milestonePlans.get', [''], z.tuple([getInput]), ofProject),
};

/** The milestones that builds of a project pass. */
export class MilestonePlans {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Defines the milestones for the project's builds from now on, as the next version of its plan: 1 to 101 numbers from 0 to 100, with names where
   * people have them, 100 among them. Builds that were started keep the version that they were started with.
   *
   * Errors: `not_found` (the project).
   */
  define(
    input: {
      readonly projectId: string;
      readonly milestones: readonly (number | { readonly state: number; readonly name?: string | null | undefined })[];
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'builds.milestonePlans.define', MilestonePlan> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;
    return operation(scope, methods.define, [input], ([{ idempotencyKey, signal, ...wanted }]) =>
      command(
        scope,
        {
          method: methods.define.name,
          target: { type: 'milestone plan', id: wanted.projectId },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) => storage.builds.plan(scope.caller.org, wanted.projectId, undefined, keyId),
          replay: async (kept) => {
            const made = { id: kept['id'] as string, at: new Date(kept['at'] as string) };
            return ok(nextPlan(wanted.projectId, (kept['version'] as number) - 1, wanted.milestones, made));
          },
          attempt: ({ at, change }, { found, exists }) =>
            safeTry(async function* () {
              if (!exists) return err(new NotFound('project', wanted.projectId));
              const made = { id: ids.next(), at };
              const plan = nextPlan(wanted.projectId, found?.version ?? 0, wanted.milestones, made);
              const written = yield* storage.builds.addPlan({
                plan,
                change: change(
                  {
                    subject: { type: 'milestone_plan', id: plan.id },
                    action: 'milestone_plan.defined',
                    sequence: 1,
                    data: { projectId: plan.projectId, version: plan.version },
                  },
                  { id: plan.id, version: plan.version, at: at.toISOString() },
                ),
              });
              if (written.done) return ok(plan);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound('project', wanted.projectId));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      ),
    );
  }

  /** The project's newest plan, or the `version` asked for; the built-in one, version 0, where it has defined none. Errors: `not_found` (the project, or the version). */
  get(input: {
    readonly projectId: string;
    readonly version?: number | undefined;
  }): Outcome<'builds.milestonePlans.get', MilestonePlan> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.get, [input], ([{ projectId, version }]) =>
      ports.storage.builds
        .plan(caller.org, projectId, version === 0 ? undefined : version)
        .andThen(({ found, exists }) => {
          if (!exists) return err(new NotFound('project', projectId));
          if (version !== 0 && found !== null) return ok<MilestonePlan, NotFound>(found);
          if (version !== 0 && version !== undefined) return err(new NotFound('milestone plan', `version ${version}`));
          return ok<MilestonePlan, NotFound>(builtInPlan(projectId));
        }),
    );
  }
}

function builtInPlan(projectId: string): MilestonePlan {
  return { id: null, projectId, version: 0, milestones: builtInMilestones, createdAt: null };
}
