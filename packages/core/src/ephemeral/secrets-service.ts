import * as z from 'zod';

import { again, changeOf, command } from '../command.ts';
import { DataKeys } from '../keys/data-keys.ts';
import { NotConfigured, NotFound } from '../kernel/errors.ts';
import { commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result, ResultAsync } from '../kernel/result.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { SecretText } from '../kernel/secret-text.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { tokenInput } from './changes-service.ts';
import { InvalidToken } from './errors.ts';
import { secretName, secretValue } from './model.ts';
import type { StoredSecret } from './model.ts';
import type { ChangeFacts } from './repository.ts';
import { mayUse } from './rules.ts';
import { isOneOf } from './tokens.ts';

/** What opens a secret: a pending change, and a token that was handed out for it. */
export interface SecretBearer {
  readonly stateChangeId: string;
  readonly token: string;
}

const bearer = { stateChangeId: id, token: tokenInput };
const theChange = ([{ stateChangeId }]: readonly [{ readonly stateChangeId: string }, ...unknown[]]) => [
  { type: 'state_change', id: stateChangeId },
];

const methods = {
  read: method('ephemeral.secrets.read', [''], z.tuple([z.strictObject({ ...bearer, name: secretName })]), theChange),
  readAll: method('ephemeral.secrets.readAll', [''], z.tuple([z.strictObject(bearer)]), theChange),
  write: method(
    'ephemeral.secrets.write',
    [''],
    z.tuple([z.strictObject({ ...bearer, name: secretName, value: secretValue, ...commandOptions })]),
    theChange,
  ),
};

/**
 * Secrets of instances. Only a pending change opens them, with its token, and only those that their definitions let its kind of change use. They are
 * destroyed with their instance.
 */
export class Secrets {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * One secret's value. Journalled.
   *
   * Errors: `not_found` (the change, or a secret that has no value yet), `invalid_token`, `secret_access_denied`, `not_configured`,
   * `key_management_failure`, `unsealing_failed`.
   */
  read(input: SecretBearer & { readonly name: string }): Outcome<'ephemeral.secrets.read', SecretText> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.read, [input], ([{ stateChangeId, token, name }]) =>
      safeTry(async function* () {
        const facts = yield* admitted(scope, { stateChangeId, token });
        yield* mayUse(facts.type, facts.stateChange, name, 'read');
        const [stored] = yield* storage.ephemeral.secrets(scope.caller.org, facts.instance.id, [name]);
        if (stored === undefined) return err(new NotFound('secret', name));
        const [value] = yield* openSecrets(scope, facts, [stored]);
        yield* note(scope, facts, 'instance.secret_read', [name]);
        return ok(new SecretText(value!));
      }),
    );
  }

  /**
   * Every secret that the change may read and that has a value, by name. Journalled.
   *
   * Errors: `not_found` (the change), `invalid_token`, `not_configured`, `key_management_failure`, `unsealing_failed`.
   */
  readAll(input: SecretBearer): Outcome<'ephemeral.secrets.readAll', ReadonlyMap<string, SecretText>> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.readAll, [input], ([given]) =>
      safeTry(async function* () {
        const facts = yield* admitted(scope, given);
        const readable = facts.type.secrets.filter(({ readableBy }) => readableBy.includes(facts.stateChange.type));
        const names = readable.map(({ name }) => name);
        const stored = yield* storage.ephemeral.secrets(scope.caller.org, facts.instance.id, names);
        if (stored.length === 0) return ok(new Map<string, SecretText>());
        const values = yield* openSecrets(scope, facts, stored);
        yield* note(
          scope,
          facts,
          'instance.secret_read',
          stored.map(({ name }) => name),
        );
        return ok(new Map(stored.map(({ name }, index) => [name, new SecretText(values[index]!)])));
      }),
    );
  }

  /**
   * Writes a secret's value, at most 64 KiB, over the one before. Journalled.
   *
   * Errors: `not_found` (the change), `invalid_token`, `secret_access_denied`, `not_configured`, `key_management_failure`, `unsealing_failed`,
   * `stale_version`.
   */
  write(
    input: SecretBearer & { readonly name: string; readonly value: string } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'ephemeral.secrets.write', void> {
    const scope = this.#scope;
    const { storage, keys } = scope.ports;

    return operation(scope, methods.write, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const { stateChangeId, token, name, value } = wanted;
      return command(
        scope,
        {
          method: methods.write.name,
          target: { type: 'state change', id: stateChangeId },
          options: { idempotencyKey, signal },
          input: [stateChangeId, name, value],
        },
        {
          load: (keyId) => storage.ephemeral.changeFacts(scope.caller.org, stateChangeId, keyId),
          replay: async () => ok(undefined),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const facts = yield* admit(found, { stateChangeId, token });
              yield* mayUse(facts.type, facts.stateChange, name, 'write');
              if (keys === null) return err(new NotConfigured('keys', 'secrets need keys to be sealed with'));

              const [before] = yield* storage.ephemeral.secrets(scope.caller.org, facts.instance.id, [name]);
              const sealVersion = (before?.sealVersion ?? 0) + 1;
              const { id: instanceId, typeId } = facts.instance;
              const seal = yield* dataKeysOf(scope).sealer({ type: 'environment_type', id: typeId });
              const written = yield* storage.ephemeral.writeSecret({
                secret: {
                  instanceId,
                  name,
                  sealed: seal({ ownerId: instanceId, name, sealVersion }, value),
                  sealVersion,
                  createdAt: before?.createdAt ?? at,
                  updatedAt: at,
                },
                stateChangeId,
                change: change(noteOf(facts, 'instance.secret_written', [name]), { name }),
              });
              return written.done ? ok(undefined) : ok(again);
            }),
        },
      );
    });
  }
}

function dataKeysOf({ ports, caller }: Scope): DataKeys {
  return new DataKeys(ports, ports.storage.dataKeys, caller.org);
}

function admitted(
  scope: Scope,
  given: SecretBearer,
): ResultAsync<ChangeFacts, StorageFailure | NotFound | InvalidToken> {
  return scope.ports.storage.ephemeral
    .changeFacts(scope.caller.org, given.stateChangeId)
    .andThen(({ found }) => admit(found, given));
}

/** A token opens while its change is pending, and never after. */
function admit(
  found: ChangeFacts | null,
  { stateChangeId, token }: SecretBearer,
): Result<ChangeFacts, NotFound | InvalidToken> {
  if (found === null) return err(new NotFound('state change', stateChangeId));
  const { stateChange, instance } = found;
  const pending = stateChange.result === 'pending' && instance.pendingChangeId === stateChange.id;
  return pending && isOneOf(token, stateChange.tokenHashes) ? ok(found) : err(new InvalidToken());
}

function openSecrets(scope: Scope, { instance }: ChangeFacts, stored: readonly StoredSecret[]) {
  return dataKeysOf(scope).openAll(
    { type: 'environment_type', id: instance.typeId },
    stored.map(({ name, sealVersion, sealed }) => ({ place: { ownerId: instance.id, name, sealVersion }, sealed })),
  );
}

function note(scope: Scope, facts: ChangeFacts, action: string, names: readonly string[]) {
  const at = new Date(scope.ports.clock.now().getTime());
  return scope.ports.storage.journal.append(changeOf(scope, at, noteOf(facts, action, names), null));
}

/** Names, as many as keep the entry under 1 KB; never values. */
function noteOf({ instance, stateChange }: ChangeFacts, action: string, names: readonly string[]) {
  let room = 400;
  return {
    subject: { type: 'instance', id: instance.id },
    action,
    sequence: null,
    data: {
      typeId: instance.typeId,
      stateChangeId: stateChange.id,
      names: names.filter((name) => (room -= name.length + 3) >= 0),
      count: names.length,
    },
  };
}
