import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import type { Clock } from '../kernel/clock.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { NotConfigured } from '../kernel/errors.ts';
import type { IdSource } from '../kernel/ids.ts';
import { err, errAsync, ok, ResultAsync, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { utf8Length } from '../kernel/text.ts';
import { KeyManagementFailure, UnsealingFailed } from './errors.ts';
import type { KeyManagement, WrappingContext } from './key-management.ts';
import type { KeyScope, StoredDataKey } from './model.ts';
import type { OpenedKeys } from './opened-keys.ts';
import type { DataKeyRepository } from './repository.ts';
import { commitmentOf, commits, open, readEnvelope, seal } from './sealing.ts';
import type { Place } from './sealing.ts';

/** Where a value stands within the scope of a data key. */
export type PlaceInScope = Omit<Place, 'orgId' | 'scope'>;

/** Seals values of one scope. The data key is at hand: nothing is asked of anybody. */
export type Sealer = (place: PlaceInScope, text: string) => string;

/** What can happen when a data key is made. */
export type MakingFailure = KeyManagementFailure | NotConfigured;

export type KeyFailure = KeyManagementFailure | NotConfigured | StorageFailure | UnsealingFailed;

interface DataKeyPorts {
  readonly keys: KeyManagement | null;
  readonly opened: OpenedKeys;
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** The data keys of one org: made when the first value of a scope is sealed, opened when one is needed, kept open for a while. */
export class DataKeys {
  readonly #ports: DataKeyPorts;
  readonly #repository: DataKeyRepository;
  readonly #orgId: string;

  constructor(ports: DataKeyPorts, repository: DataKeyRepository, orgId: string) {
    this.#ports = ports;
    this.#repository = repository;
    this.#orgId = orgId;
  }

  /** A sealer by the scope's newest data key, which is made if there is none. Errors: `not_configured`, `key_management_failure`. */
  sealer(scope: KeyScope): ResultAsync<Sealer, KeyFailure> {
    const [repository, orgId, make] = [this.#repository, this.#orgId, () => this.#make(scope, 1)];
    const opened = (row: StoredDataKey) => this.#open(row);
    const count = (id: string, bytes: number) => this.#ports.opened.used(id, 1, bytes);
    return safeTry(async function* () {
      const row = (yield* repository.newest(orgId, scope)) ?? (yield* make());
      const key = yield* opened(row);
      return ok((place: PlaceInScope, text: string) => {
        count(row.id, utf8Length(text));
        return seal(row.id, key, { ...place, orgId, scope }, text);
      });
    });
  }

  /**
   * The texts of sealed values of one scope, in their order. All values under one data key cost one unwrap. Errors: `unsealing_failed`,
   * `not_configured`, `key_management_failure`.
   */
  openAll(
    scope: KeyScope,
    values: readonly { readonly place: PlaceInScope; readonly sealed: string }[],
  ): ResultAsync<readonly string[], KeyFailure> {
    const [orgId, keyOf] = [this.#orgId, (id: string, name: string) => this.#key(scope, id, name)];
    const count = (id: string, bytes: number) => this.#ports.opened.used(id, 1, bytes);
    return safeTry(async function* () {
      const keys = new Map<string, KeyObject>();
      const texts: string[] = [];
      for (const { place, sealed } of values) {
        const envelope = readEnvelope(sealed);
        if (envelope === null) return err(new UnsealingFailed(place.name));
        const { dataKeyId: id } = envelope;
        let key = keys.get(id);
        if (key === undefined) {
          key = yield* keyOf(id, place.name);
          keys.set(id, key);
        }
        const { ownerId, name, sealVersion } = place;
        const text = open(key, { orgId, scope, ownerId, name, sealVersion }, envelope);
        if (text === null) return err(new UnsealingFailed(place.name));
        count(id, text.length);
        texts.push(text);
      }
      return ok(texts);
    });
  }

  /**
   * A data key for something that is being made, to be stored in the same write, and a sealer by it. Errors: `not_configured`,
   * `key_management_failure`.
   */
  fresh(scope: KeyScope): ResultAsync<{ readonly dataKey: StoredDataKey; readonly seal: Sealer }, MakingFailure> {
    const orgId = this.#orgId;
    const used = (id: string, bytes: number) => this.#ports.opened.used(id, 1, bytes);
    return this.#generate(scope, 1).map(({ row, key }) => ({
      dataKey: row,
      seal: (place, text) => {
        used(row.id, utf8Length(text));
        return seal(row.id, key, { ...place, orgId, scope }, text);
      },
    }));
  }

  /** Makes the data key of this generation, or takes the one that somebody else has made meanwhile. */
  #make(scope: KeyScope, generation: number): ResultAsync<StoredDataKey, KeyFailure> {
    const [repository, orgId] = [this.#repository, this.#orgId];
    const generate = () => this.#generate(scope, generation);
    return safeTry(async function* () {
      const { row } = yield* generate();
      const added = yield* repository.add(orgId, row);
      // Where there is nothing that the key could be for, what is sealed with it will be refused: by a write that knows how to say so.
      if (added !== 'taken') return ok(row);
      const there = yield* repository.newest(orgId, scope);
      return there === null ? err(new UnsealingFailed(`data key ${row.id}`)) : ok(there);
    });
  }

  /** A new data key, open in this process, and not stored yet. */
  #generate(
    scope: KeyScope,
    generation: number,
  ): ResultAsync<{ readonly row: StoredDataKey; readonly key: KeyObject }, MakingFailure> {
    const { keys, clock, ids, opened } = this.#ports;
    const orgId = this.#orgId;
    if (keys === null) return errAsync(withoutKeys());
    return safeTry(async function* () {
      const id = ids.next();
      const generated = (async () => keys.generateDataKey({ context: contextOf(orgId, scope, id) }))();
      const made = yield* ResultAsync.fromPromise(generated, failureOf);
      const key = yield* secretKey(made.plaintext);
      const at = new Date(clock.now().getTime());
      const row: StoredDataKey = {
        id,
        scope,
        generation,
        wrapped: Buffer.from(made.wrapped).toString('base64url'),
        wrappedBy: made.wrappedBy,
        commitment: commitmentOf(key, id),
        version: 1,
        createdAt: at,
        updatedAt: at,
      };
      opened.put(id, key, at.getTime());
      return ok({ row, key });
    });
  }

  /** Begins a new generation. Answers the key that seals from now on. */
  rotate(scope: KeyScope, after: StoredDataKey): ResultAsync<StoredDataKey, KeyFailure> {
    return this.#make(scope, after.generation + 1);
  }

  #key(scope: KeyScope, id: string, name: string): ResultAsync<KeyObject, KeyFailure> {
    const [repository, orgId] = [this.#repository, this.#orgId];
    const kept = this.#ports.opened.peek(id, this.#ports.clock.now().getTime());
    if (kept !== null) return new ResultAsync(Promise.resolve(ok(kept)));
    return repository
      .get(orgId, scope, id)
      .andThen((row): ResultAsync<KeyObject, KeyFailure> =>
        row === null ? errAsync(new UnsealingFailed(name)) : this.#open(row),
      );
  }

  /** The key of a row, unwrapped and held to its commitment; or as it was kept open. */
  #open(row: StoredDataKey): ResultAsync<KeyObject, KeyFailure> {
    const { keys, opened, clock } = this.#ports;
    if (keys === null) return errAsync(withoutKeys());
    const unwrap = async () => {
      const plaintext = await keys.unwrapDataKey({
        wrapped: Buffer.from(row.wrapped, 'base64url'),
        wrappedBy: row.wrappedBy,
        context: contextOf(this.#orgId, row.scope, row.id),
      });
      const key = createSecretKey(plaintext);
      plaintext.fill(0);
      if (!commits(row.commitment, key, row.id)) throw new UnsealingFailed(`data key ${row.id}`);
      return key;
    };
    return asked(() => opened.get(row.id, clock.now().getTime(), unwrap));
  }
}

/** What a data key is wrapped for: it unwraps for this org, scope and row only. */
export function contextOf(orgId: string, scope: KeyScope, id: string): WrappingContext {
  return { 'vivarium:org': orgId, 'vivarium:scope': `${scope.type}:${scope.id}`, 'vivarium:key': id };
}

/** Asks the key management. What it rejects with is told without its details: they are a stranger's. */
export function asked<T>(ask: () => Promise<T>): ResultAsync<T, KeyManagementFailure | UnsealingFailed> {
  return ResultAsync.fromPromise((async () => ask())(), (cause) =>
    cause instanceof UnsealingFailed ? cause : failureOf(cause),
  );
}

/** Of what the key management rejects with, nothing is kept that could hold a key: only a name that looks like one of a class. */
function failureOf(cause: unknown): KeyManagementFailure {
  const given = (typeof cause === 'object' && cause !== null ? cause : {}) as { name?: unknown; retryable?: unknown };
  const { retryable } = given;
  const name = typeof given.name === 'string' && /^[A-Z][A-Za-z]{0,60}$/.test(given.name) ? given.name : 'Error';
  return new KeyManagementFailure(`the key management did not answer with a key (${name})`, {
    retryable: retryable === true,
    cause: { name },
  });
}

function secretKey(bytes: Uint8Array): Result<KeyObject, KeyManagementFailure> {
  if (bytes.length !== 32) {
    return err(
      new KeyManagementFailure('the key management gave a data key that does not have 32 bytes', { retryable: false }),
    );
  }
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return ok(key);
}

function withoutKeys(): NotConfigured {
  return new NotConfigured('keys', 'sensitive values need keys to be sealed with');
}
