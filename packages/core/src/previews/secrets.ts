/** App secrets: what the runtimes of an app's environments are handed, by the type of environment. */
import * as z from 'zod';

import { again, command } from '../command.ts';
import { DataKeys } from '../keys/data-keys.ts';
import { NotFound } from '../kernel/errors.ts';
import { commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { err, ok, okAsync, safeTry } from '../kernel/result.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { previewTypes, secretName, secretValue } from './model.ts';
import type { AppSecret, PreviewType } from './model.ts';
import type { StoredAppSecret } from './repository.ts';

const owner = { appId: id, environmentType: z.enum(previewTypes) };
const ofTheApp = ([{ appId }]: readonly [{ readonly appId: string }]) => [{ type: 'app', id: appId }];

const methods = {
  set: method(
    'previews.secrets.set',
    [''],
    z.tuple([z.strictObject({ ...owner, name: secretName, value: secretValue, ...commandOptions })]),
    ofTheApp,
  ),
  list: method('previews.secrets.list', [''], z.tuple([z.strictObject(owner)]), ofTheApp),
  remove: method(
    'previews.secrets.remove',
    [''],
    z.tuple([z.strictObject({ ...owner, name: secretName, ...commandOptions })]),
    ofTheApp,
  ),
};

/** Which secret of which app. */
export interface AppSecretName {
  readonly appId: string;
  readonly environmentType: PreviewType;
  /** 1–256 letters, digits, hyphens and underscores. */
  readonly name: string;
}

/** Secrets of apps by environment type (seed 002), sealed with the app's own data key. Nobody reads them but the runtimes that they are handed to. */
export class AppSecrets {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Sets a secret, at most 64 KiB, over the value before it. Runs that begin from now on get it. Journalled by name.
   *
   * Errors: `not_found` (the app), `not_configured`, `key_management_failure`, `unsealing_failed`, `stale_version`.
   */
  set(
    input: AppSecretName & { readonly value: string } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'previews.secrets.set', AppSecret> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    const { org } = scope.caller;
    return operation(scope, methods.set, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const { appId, environmentType: type, name, value } = wanted;
      return command(
        scope,
        {
          method: methods.set.name,
          target: { type: 'app secret', id: name },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) => storage.previews.secretFacts(org, { appId, type, name }, keyId),
          replay: (kept) => {
            const [createdAt, updatedAt] = [kept['createdAt'] as string, kept['updatedAt'] as string];
            return okAsync({
              appId,
              environmentType: type,
              name,
              createdAt: new Date(createdAt),
              updatedAt: new Date(updatedAt),
            });
          },
          attempt: ({ at, change }, { app, found }) =>
            safeTry(async function* () {
              if (!app) return err(new NotFound('app', appId));
              const sealVersion = (found?.sealVersion ?? 0) + 1;
              const seal = yield* new DataKeys(scope.ports, storage.dataKeys, org).sealer({ type: 'app', id: appId });
              const createdAt = found?.createdAt ?? at;
              const place = placeOf({ appId, type, name, sealVersion });
              const sealed = seal(place, value);
              const kept = { createdAt: createdAt.toISOString(), updatedAt: at.toISOString() };
              const written = yield* storage.previews.writeSecret({
                secret: { appId, type, name, sealed, sealVersion, createdAt, updatedAt: at },
                change: change(noteOf('app.secret_set', { appId, type, name }), kept),
              });
              if (written.done) return ok({ appId, environmentType: type, name, createdAt, updatedAt: at });
              if (written.refused === 'key_taken') return ok(written.record);
              return written.refused === 'gone' ? err(new NotFound('app', appId)) : ok(again);
            }),
        },
      );
    });
  }

  /** The names of an app's secrets for a type of environment, in their order; never the values. Errors: `not_found` (the app). */
  list(input: Omit<AppSecretName, 'name'>): Outcome<'previews.secrets.list', readonly AppSecret[]> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ appId, environmentType: type }]) =>
      safeTry(async function* () {
        const stored = yield* ports.storage.previews.secrets(caller.org, { appId, type });
        if (stored.length > 0) return ok(stored.map(toAppSecret));
        const { found } = yield* ports.storage.deployments.getApp(caller.org, appId);
        return found === null ? err(new NotFound('app', appId)) : ok([]);
      }),
    );
  }

  /** Removes a secret. Runs that begin from now on no longer get it. Errors: `not_found` (the app, or the secret), `stale_version`. */
  remove(input: AppSecretName & Omit<CommandOptions, 'expectedVersion'>): Outcome<'previews.secrets.remove', void> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.remove, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const { appId, environmentType: type, name } = wanted;
      return command(
        scope,
        {
          method: methods.remove.name,
          target: { type: 'app secret', id: name },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) => storage.previews.secretFacts(scope.caller.org, { appId, type, name }, keyId),
          replay: () => okAsync(undefined),
          attempt: ({ change }, { app, found }) =>
            safeTry(async function* () {
              if (found === null) return err(app ? new NotFound('app secret', name) : new NotFound('app', appId));
              const written = yield* storage.previews.removeSecret({
                secret: found,
                change: change(noteOf('app.secret_removed', { appId, type, name }), { name }),
              });
              if (written.done) return ok(undefined);
              return written.refused === 'key_taken' ? ok(written.record) : ok(again);
            }),
        },
      );
    });
  }
}

/** A stored secret as `openAll` takes it. */
export function sealedSecretOf(secret: StoredAppSecret) {
  return { place: placeOf(secret), sealed: secret.sealed };
}

function placeOf({ appId, type, name, sealVersion }: Pick<StoredAppSecret, 'appId' | 'type' | 'name' | 'sealVersion'>) {
  return { ownerId: appId, name: `${type}/${name}`, sealVersion };
}

/** Secrets of one app may be set at the same time: each entry is a stream of its own. */
function noteOf(action: string, { appId, type, name }: Pick<StoredAppSecret, 'appId' | 'type' | 'name'>) {
  return { subject: { type: 'app', id: appId }, action, sequence: null, data: { environmentType: type, name } };
}

function toAppSecret({ appId, type, name, createdAt, updatedAt }: StoredAppSecret): AppSecret {
  return { appId, environmentType: type, name, createdAt, updatedAt };
}
