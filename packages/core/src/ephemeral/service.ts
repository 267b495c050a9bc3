import * as z from 'zod';

import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { StateChanges } from './changes-service.ts';
import { Instances } from './instances-service.ts';
import { Secrets } from './secrets-service.ts';
import { sweep } from './sweep.ts';
import type { SweptInstance } from './sweep.ts';
import { EnvironmentTypes } from './types-service.ts';

const sweepInput = z.strictObject({
  limit: z.int().min(1).max(1_000).default(100),
  dryRun: z.boolean().default(false),
});
const sweepMethod = method('ephemeral.sweep', [''], z.tuple([sweepInput]), () => [{ type: 'instance' }]);

/** Ephemeral environments: types of them, their instances, the changes that pipelines carry out, and their secrets (seed 000). */
export class Ephemeral {
  readonly #scope: Scope;
  readonly types: EnvironmentTypes;
  readonly instances: Instances;
  readonly stateChanges: StateChanges;
  readonly secrets: Secrets;
  /** The pipelines of a type: one for each kind of change. `define` adds one, or takes the place of the one there is. */
  readonly actions: {
    readonly define: EnvironmentTypes['defineAction'];
    readonly list: EnvironmentTypes['listActions'];
    readonly remove: EnvironmentTypes['removeAction'];
  };
  /** The secrets that a type's instances have, and which kinds of change may write and read them. At most 40 for a type. */
  readonly secretDefinitions: {
    readonly define: EnvironmentTypes['defineSecret'];
    readonly list: EnvironmentTypes['listSecrets'];
    readonly remove: EnvironmentTypes['removeSecret'];
  };

  constructor(scope: Scope) {
    this.#scope = scope;
    const types = new EnvironmentTypes(scope);
    this.types = types;
    this.instances = new Instances(scope);
    this.stateChanges = new StateChanges(scope);
    this.secrets = new Secrets(scope);
    this.actions = {
      define: types.defineAction.bind(types),
      list: types.listActions.bind(types),
      remove: types.removeAction.bind(types),
    };
    this.secretDefinitions = {
      define: types.defineSecret.bind(types),
      list: types.listSecrets.bind(types),
      remove: types.removeSecret.bind(types),
    };
  }

  /**
   * Does what time asks for: fails changes that are past their deadline (`timed_out`), calls the runner for changes that were started in a transaction of the
   * host's, and again where nobody knows whether it took a change on, takes expired instances down (with growing pauses between tries, at most 5, then `needsAttention`), and puts idle ones to
   * sleep. Answers what it did, or with `dryRun` would do, and why; at most `limit` (100). Call it every minute or so, from as many processes as
   * you like.
   */
  sweep(
    input: { readonly limit?: number | undefined; readonly dryRun?: boolean | undefined } = {},
  ): Outcome<'ephemeral.sweep', readonly SweptInstance[]> {
    return operation(this.#scope, sweepMethod, [input], ([options]) => sweep(this.#scope, options));
  }
}
