import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import { NotFound } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { anyText } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { HasLivePreviews } from './errors.ts';
import { branchName, fullName, provider } from './model.ts';
import type { Repo, StoredRepo } from './model.ts';
import type { RepoPosition } from './repository.ts';
import { newRepo, registerAgain, repoKey, toRepo } from './rules.ts';

const registerInput = z.strictObject({
  provider,
  fullName,
  defaultBranch: branchName.optional(),
  ...commandOptions,
});
const theRepo = ([repoId]: readonly [string, ...unknown[]]) => [{ type: 'repo', id: repoId }];
const anyRepo = () => [{ type: 'repo' }];

const methods = {
  register: method('deployments.repos.register', [''], z.tuple([registerInput]), anyRepo),
  get: method('deployments.repos.get', ['id'], z.tuple([id]), theRepo),
  list: method('deployments.repos.list', [''], z.tuple([z.strictObject(pageInput)]), anyRepo),
  delete: method('deployments.repos.delete', ['id', ''], z.tuple([id, z.strictObject(changeOptions)]), theRepo),
};

const byName = cursorsOf<RepoPosition>('deployments.repos', z.strictObject({ provider: anyText, nameKey: anyText }));
const subject = (repoId: string) => ({ type: 'repo', id: repoId });

/** Repositories of source code. */
export class Repos {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Registers a repository, or finds the one that is registered: the same provider and name, whatever its case. A `defaultBranch` that is given is kept;
   * `main` when none ever was.
   */
  register(
    input: {
      readonly provider: string;
      readonly fullName: string;
      readonly defaultBranch?: string | undefined;
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'deployments.repos.register', Repo> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;
    return operation(scope, methods.register, [input], ([{ idempotencyKey, signal, ...wanted }]) =>
      command(
        scope,
        {
          method: methods.register.name,
          target: { type: 'repo', id: wanted.fullName },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) =>
            storage.deployments.getRepoByName(scope.caller.org, wanted.provider, repoKey(wanted.fullName), keyId),
          replay: (kept) =>
            storage.deployments
              .getRepo(scope.caller.org, kept['id'] as string)
              .andThen(({ found }) => present(found, kept['id'] as string))
              .map(toRepo),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const repo = found === null ? newRepo(wanted, { id: ids.next(), at }) : registerAgain(found, wanted, at);
              if (repo === null) return ok(toRepo(found!));
              const noted = change(
                {
                  subject: subject(repo.id),
                  action: 'repo.registered',
                  sequence: repo.version,
                  data: { provider: repo.provider, fullName: repo.fullName, defaultBranch: repo.defaultBranch },
                },
                { id: repo.id, version: repo.version },
              );
              const written = yield* found === null
                ? storage.deployments.createRepo({ repo, change: noted })
                : storage.deployments.writeRepo({ repo, expectedVersion: found.version, change: noted });
              if (written.done) return ok(toRepo(repo));
              return ok(written.refused === 'key_taken' ? written.record : again);
            }),
        },
      ),
    );
  }

  /** The repository. Errors: `not_found`. */
  get(repoId: string): Outcome<'deployments.repos.get', Repo> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.get, [repoId], ([target]) =>
      ports.storage.deployments
        .getRepo(caller.org, target)
        .andThen(({ found }) => present(found, target))
        .map(toRepo),
    );
  }

  /** Repositories by provider, then name. */
  list(input: PageInput = {}): Outcome<'deployments.repos.list', Page<Repo>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([paging]) =>
      safeTry(async function* () {
        const page = yield* byName.read(paging);
        const stored = yield* ports.storage.deployments.listRepos(caller.org, page);
        const position = (last: StoredRepo) => ({ provider: last.provider, nameKey: last.nameKey });
        return ok(byName.page(stored, position, toRepo));
      }),
    );
  }

  /**
   * Deletes a repository with its apps, its project environments and their deployments.
   *
   * Errors: `not_found`, `has_live_previews`, `stale_version`.
   */
  delete(repoId: string, options: CommandOptions = {}): Outcome<'deployments.repos.delete', void> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.delete, [repoId, options], ([target, given]) =>
      command(
        scope,
        { method: methods.delete.name, target: subject(target), options: given, input: [target] },
        {
          load: (keyId) => storage.deployments.getRepo(scope.caller.org, target, keyId),
          replay: async () => ok(undefined),
          attempt: ({ change }, { found }) =>
            safeTry(async function* () {
              const repo = yield* present(found, target);
              yield* checkVersion('repo', repo, given.expectedVersion);
              const written = yield* storage.deployments.deleteRepo({
                repo,
                change: change(
                  {
                    subject: subject(target),
                    action: 'repo.deleted',
                    sequence: repo.version + 1,
                    data: { provider: repo.provider, fullName: repo.fullName },
                  },
                  { id: target },
                ),
              });
              if (written.done) return ok(undefined);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound('repo', target));
                case 'has_live_previews':
                  return err(new HasLivePreviews('repository'));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      ),
    );
  }
}

function present(found: StoredRepo | null, repoId: string): Result<StoredRepo, NotFound> {
  return found === null ? err(new NotFound('repo', repoId)) : ok(found);
}
