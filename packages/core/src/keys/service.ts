import * as z from 'zod';

import { changeOf } from '../command.ts';
import type { LoadedEnvironment } from '../environments/model.ts';
import { dataKeysOf, sealAnew } from '../environments/sensitive.ts';
import { NotConfigured, NotFound } from '../kernel/errors.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { id } from '../kernel/ids.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { asked, contextOf } from './data-keys.ts';
import type { KeyFailure } from './data-keys.ts';
import type { KeyScope, StoredDataKey } from './model.ts';
import { readEnvelope } from './sealing.ts';

/** What `keys.rotate` has done. */
export interface RotationReport {
  /** The generation that seals now; 0 where nothing has ever been sealed. */
  readonly generation: number;
  /** Environments that were sealed anew by this call. */
  readonly resealed: number;
  /** Whether the older keys are gone. If not, call again, after `finishAfter`. */
  readonly done: boolean;
  /** When the older keys may be forgotten: an hour after the new one was made. `null` when done. */
  readonly finishAfter: Date | null;
}

/**
 * How long older keys stay after a new one was made. A call that is under way may still seal with the key that it has read; an hour is
 * longer than any call.
 */
const graceMs = 3_600_000;

const rotateInput = z.strictObject({ projectId: id });

const methods = {
  rewrap: method('keys.rewrap', [], z.tuple([]), () => [{ type: 'data_key' }]),
  rotate: method('keys.rotate', [''], z.tuple([rotateInput]), ([{ projectId }]) => [{ type: 'data_key', projectId }]),
};

/** The keys that sensitive values are sealed with, and their rotation. Both kinds can be stopped at any point and called again; reads go on meanwhile. */
export class Keys {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * After the key management has a new wrapping key: wraps every data key of the org by it, and opens none of the values. Then the old
   * wrapping key can go.
   *
   * Errors: `not_configured`, `key_management_failure`. Data keys that were wrapped before a failure stay so; call again.
   */
  rewrap(): Outcome<'keys.rewrap', { readonly rewrapped: number }> {
    const { ports, caller } = this.#scope;
    const { keys, storage, clock } = ports;
    return operation(this.#scope, methods.rewrap, [], () =>
      safeTry(async function* () {
        if (keys === null) return err(new NotConfigured('keys', 'there is nothing to wrap data keys by'));
        let rewrapped = 0;
        let after: string | null = null;
        for (;;) {
          const page: { items: readonly StoredDataKey[]; more: boolean } = yield* storage.dataKeys.list(caller.org, {
            limit: 100,
            after,
          });
          for (const row of page.items) {
            const again = yield* asked(() =>
              keys.rewrapDataKey({
                wrapped: Buffer.from(row.wrapped, 'base64url'),
                wrappedBy: row.wrappedBy,
                context: contextOf(caller.org, row.scope, row.id),
              }),
            );
            if (again === null) continue;
            const written = yield* storage.dataKeys.rewrap(caller.org, {
              ...row,
              wrapped: Buffer.from(again.wrapped).toString('base64url'),
              wrappedBy: again.wrappedBy,
              version: row.version + 1,
              updatedAt: new Date(clock.now().getTime()),
            });
            if (written) rewrapped++;
          }
          after = page.items.at(-1)?.id ?? null;
          if (!page.more) return ok({ rewrapped });
        }
      }),
    );
  }

  /**
   * Gives a project a new data key and seals its environments' sensitive values anew. The first call makes the key and seals; a call an
   * hour or more later seals what was written with the old key in between, and forgets the old key. A call while a rotation is under way goes on
   * with it.
   *
   * Errors: `not_found` (the project), `not_configured`, `key_management_failure`, `unsealing_failed`.
   */
  rotate(input: { readonly projectId: string }): Outcome<'keys.rotate', RotationReport> {
    const scope = this.#scope;
    const { storage, clock } = scope.ports;
    const org = scope.caller.org;

    return operation(scope, methods.rotate, [input], ([{ projectId }]) =>
      safeTry(async function* () {
        const keyScope: KeyScope = { type: 'project', id: projectId };
        if ((yield* storage.projects.get(org, projectId)).found === null)
          return err(new NotFound('project', projectId));
        const generations = yield* storage.dataKeys.ofScope(org, keyScope);
        const last = generations.at(-1);
        if (last === undefined) return ok({ generation: 0, resealed: 0, done: true, finishAfter: null });

        const begun = generations.length > 1;
        const newest = begun ? last : yield* dataKeysOf(scope).rotate(keyScope, last);
        const older = begun ? generations.slice(0, -1) : generations;
        const { resealed, complete } = yield* resealProject(scope, projectId, newest.id);

        const finishAfter = new Date(newest.createdAt.getTime() + graceMs);
        if (!complete || clock.now() < finishAfter) {
          return ok({ generation: newest.generation, resealed, done: false, finishAfter });
        }
        for (const { id: oldId } of older) yield* storage.dataKeys.remove(org, keyScope, oldId);
        return ok({ generation: newest.generation, resealed, done: true, finishAfter: null });
      }),
    );
  }
}

/** Goes through the project's environments. Not complete when one kept being changed by others. */
function resealProject(
  scope: Scope,
  projectId: string,
  newestKey: string,
): ResultAsync<{ readonly resealed: number; readonly complete: boolean }, KeyFailure | StorageFailure> {
  const { storage } = scope.ports;
  return safeTry(async function* () {
    let resealed = 0;
    let complete = true;
    let after: string | null = null;
    for (;;) {
      const page: { items: readonly { id: string; nameKey: string }[]; more: boolean } | null =
        yield* storage.environments.search(scope.caller.org, projectId, {}, { limit: 100, after });
      if (page === null) return ok({ resealed, complete });
      for (const { id: environmentId } of page.items) {
        const outcome = yield* resealEnvironment(scope, { projectId, id: environmentId }, newestKey);
        if (outcome === 'resealed') resealed++;
        if (outcome === 'busy') complete = false;
      }
      after = page.items.at(-1)?.nameKey ?? null;
      if (!page.more) return ok({ resealed, complete });
    }
  });
}

function resealEnvironment(
  scope: Scope,
  ref: { readonly projectId: string; readonly id: string },
  newestKey: string,
): ResultAsync<'resealed' | 'nothing to do' | 'busy', KeyFailure | StorageFailure> {
  const { storage, clock } = scope.ports;
  return safeTry(async function* () {
    for (let attempt = 0; attempt < 8; attempt++) {
      const { found } = yield* storage.environments.get(scope.caller.org, ref);
      if (found === null || !sealedByAnother(found, newestKey)) return ok('nothing to do' as const);

      const version = found.version + 1;
      const at = new Date(clock.now().getTime());
      const variables = yield* sealAnew(scope, found, { ...ref, version });
      const written = yield* storage.environments.setVariables({
        environment: { ...found, variables, version, updatedAt: at },
        expectedVersion: found.version,
        change: changeOf(
          scope,
          at,
          {
            subject: { type: 'environment', id: ref.id },
            action: 'environment.resealed',
            sequence: version,
            data: { projectId: ref.projectId, name: found.name },
          },
          null,
        ),
      });
      if (written.done) return ok('resealed' as const);
    }
    return ok('busy' as const);
  });
}

function sealedByAnother({ variables }: LoadedEnvironment, key: string): boolean {
  return variables.some((variable) => 'sealed' in variable && readEnvelope(variable.sealed)?.dataKeyId !== key);
}
