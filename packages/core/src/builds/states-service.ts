import * as z from 'zod';

import { changeOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { component, errorDetails, errorMessage, failureType, milestone } from './model.ts';
import type { Build } from './model.ts';
import { move } from './moving.ts';
import { complete, enter, fail } from './rules.ts';
import type { FailureInput } from './rules.ts';

const atState = z.strictObject({ state: milestone, ...changeOptions });
const failInput = z.strictObject({
  state: milestone.optional(),
  failureType,
  errorMessage,
  component: component.nullish(),
  errorDetails: errorDetails.nullish(),
  ...changeOptions,
});

const theBuild = ([buildId]: readonly [string, ...unknown[]]) => [{ type: 'build', id: buildId }];

const methods = {
  enter: method('builds.states.enter', ['id', ''], z.tuple([id, atState]), theBuild),
  complete: method('builds.states.complete', ['id', ''], z.tuple([id, atState]), theBuild),
  fail: method('builds.states.fail', ['id', ''], z.tuple([id, failInput]), theBuild),
};

/** How a build gets through its milestones. */
export class BuildStates {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Enters a milestone of the build's plan: the next one, or one further on. The milestone before it, if it is still under way, is completed with
   * it. The first one makes a pending build run. Also a sign of life.
   *
   * Errors: `not_found`; `invalid_input` for what is no milestone of the plan; `illegal_transition` for one that does not lie ahead, and for a build that
   * is not pending or running (naming what is legal); `limit_reached` after 1,000 attempts; `stale_version`.
   */
  enter(buildId: string, input: { readonly state: number } & CommandOptions): Outcome<'builds.states.enter', Build> {
    return operation(this.#scope, methods.enter, [buildId, input], ([target, { state, ...options }]) =>
      move(
        this.#scope,
        { method: methods.enter.name, action: 'build.state_entered', target, input: { state } },
        options,
        (build, made) => enter(build, state, made),
      ),
    );
  }

  /**
   * Says that the milestone which was entered has been passed. 100 completed ends the build. Of two workers that say so, the second has
   * `illegal_transition`. Also a sign of life.
   *
   * Errors: `not_found`, `illegal_transition` (for a milestone that is not under way), `stale_version`.
   */
  complete(
    buildId: string,
    input: { readonly state: number } & CommandOptions,
  ): Outcome<'builds.states.complete', Build> {
    return operation(this.#scope, methods.complete, [buildId, input], ([target, { state, ...options }]) =>
      move(
        this.#scope,
        { method: methods.complete.name, action: 'build.state_completed', target, input: { state } },
        options,
        (build, { at }) => complete(build, state, at),
      ),
    );
  }

  /**
   * Says that the build has failed at the milestone which it entered last, and why. It stays there; `resume` tries it again. With `state`, only while
   * that is the milestone. `errorDetails` is any JSON object of at most 4,096 bytes; nothing here is sealed: no place for secrets.
   *
   * Errors: `not_found`, `illegal_transition` (for a build that is not running, or not at `state`), `stale_version`.
   */
  fail(
    buildId: string,
    input: FailureInput & { readonly state?: number | undefined } & CommandOptions,
  ): Outcome<'builds.states.fail', Build> {
    return operation(this.#scope, methods.fail, [buildId, input], ([target, given]) => {
      const { idempotencyKey, expectedVersion, signal, ...failure } = given;
      return move(
        this.#scope,
        { method: methods.fail.name, action: 'build.failed', target, input: failure },
        { idempotencyKey, expectedVersion, signal },
        (build, made) => fail(build, failure, made),
      );
    });
  }
}
