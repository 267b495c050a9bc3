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
import { AppExists, HasLivePreviews } from './errors.ts';
import { appName, entrypoint } from './model.ts';
import type { App } from './model.ts';
import type { NamedPosition } from './repository.ts';

const createInput = z.strictObject({
  projectId: id,
  repoId: id,
  name: appName,
  entrypoint: entrypoint.nullish(),
  ...commandOptions,
});
const listInput = z.strictObject({ projectId: id.optional(), repoId: id.optional(), ...pageInput });
const updateInput = z.strictObject({ name: appName.optional(), entrypoint: entrypoint.nullish(), ...changeOptions });

const theApp = ([appId]: readonly [string, ...unknown[]]) => [{ type: 'app', id: appId }];
const appsOf = ([{ projectId }]: readonly [{ readonly projectId?: string | undefined }]) => [
  { type: 'app', ...(projectId !== undefined && { projectId }) },
];

const methods = {
  create: method('deployments.apps.create', [''], z.tuple([createInput]), appsOf),
  get: method('deployments.apps.get', ['id'], z.tuple([id]), theApp),
  list: method('deployments.apps.list', [''], z.tuple([listInput]), appsOf),
  update: method('deployments.apps.update', ['id', ''], z.tuple([id, updateInput]), theApp),
  delete: method('deployments.apps.delete', ['id', ''], z.tuple([id, z.strictObject(changeOptions)]), theApp),
};

const byName = cursorsOf<NamedPosition>('deployments.apps', z.strictObject({ name: anyText, id }));
const subject = (appId: string) => ({ type: 'app', id: appId });

/** Apps: what a project makes of a repository. Previews belong to one. */
export class Apps {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** Creates the app of a project and a repository. Errors: `not_found` (the project, or the repository), `app_exists`. */
  create(
    input: {
      readonly projectId: string;
      readonly repoId: string;
      readonly name: string;
      readonly entrypoint?: string | null | undefined;
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'deployments.apps.create', App> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;
    return operation(scope, methods.create, [input], ([{ idempotencyKey, signal, ...wanted }]) =>
      command(
        scope,
        {
          method: methods.create.name,
          target: { type: 'app', id: wanted.name },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) => storage.deployments.appFacts(scope.caller.org, wanted, keyId),
          replay: (kept) => this.#current(kept['id'] as string),
          attempt: ({ at, change }, facts) =>
            safeTry(async function* () {
              if (!facts.project) return err(new NotFound('project', wanted.projectId));
              if (!facts.repo) return err(new NotFound('repo', wanted.repoId));
              const app: App = {
                ...wanted,
                entrypoint: wanted.entrypoint ?? null,
                id: ids.next(),
                version: 1,
                createdAt: at,
                updatedAt: at,
              };
              const { projectId, repoId, name } = app;
              const noted = {
                subject: subject(app.id),
                action: 'app.created',
                sequence: 1,
                data: { projectId, repoId, name },
              };
              const written = yield* storage.deployments.createApp({ app, change: change(noted, { id: app.id }) });
              if (written.done) return ok(app);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'exists':
                  return err(new AppExists());
                case 'gone':
                  return ok(again);
              }
            }),
        },
      ),
    );
  }

  /** The app. Errors: `not_found`. */
  get(appId: string): Outcome<'deployments.apps.get', App> {
    return operation(this.#scope, methods.get, [appId], ([target]) => this.#current(target));
  }

  /** Apps by name, then id: of a project, of a repository, of both, or all. */
  list(
    input: { readonly projectId?: string | undefined; readonly repoId?: string | undefined } & PageInput = {},
  ): Outcome<'deployments.apps.list', Page<App>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ projectId, repoId, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* byName.read(paging);
        const filter = { ...(projectId !== undefined && { projectId }), ...(repoId !== undefined && { repoId }) };
        const stored = yield* ports.storage.deployments.listApps(caller.org, filter, page);
        return ok(
          byName.page(
            stored,
            (last) => ({ name: last.name, id: last.id }),
            (app) => app,
          ),
        );
      }),
    );
  }

  /** Changes name and entrypoint; what is not given stays. Errors: `not_found`, `stale_version`. */
  update(
    appId: string,
    input: { readonly name?: string | undefined; readonly entrypoint?: string | null | undefined } & CommandOptions,
  ): Outcome<'deployments.apps.update', App> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.update, [appId, input], ([target, { name, entrypoint: begins, ...options }]) =>
      command(
        scope,
        { method: methods.update.name, target: subject(target), options, input: [target, name, begins] },
        {
          load: (keyId) => storage.deployments.getApp(scope.caller.org, target, keyId),
          replay: () => this.#current(target),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const before = yield* present(found, target);
              yield* checkVersion('app', before, options.expectedVersion);
              const app: App = {
                ...before,
                name: name ?? before.name,
                entrypoint: begins === undefined ? before.entrypoint : begins,
                version: before.version + 1,
                updatedAt: at,
              };
              const written = yield* storage.deployments.writeApp({
                app,
                expectedVersion: before.version,
                change: change(
                  { subject: subject(target), action: 'app.updated', sequence: app.version, data: { name: app.name } },
                  { id: target, version: app.version },
                ),
              });
              if (written.done) return ok(app);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound('app', target));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      ),
    );
  }

  /** Deletes an app, with the secrets of its previews. Errors: `not_found`, `has_live_previews`, `stale_version`. */
  delete(appId: string, options: CommandOptions = {}): Outcome<'deployments.apps.delete', void> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.delete, [appId, options], ([target, given]) =>
      command(
        scope,
        { method: methods.delete.name, target: subject(target), options: given, input: [target] },
        {
          load: (keyId) => storage.deployments.getApp(scope.caller.org, target, keyId),
          replay: async () => ok(undefined),
          attempt: ({ change }, { found }) =>
            safeTry(async function* () {
              const app = yield* present(found, target);
              yield* checkVersion('app', app, given.expectedVersion);
              const { projectId, repoId, name } = app;
              const noted = {
                subject: subject(target),
                action: 'app.deleted',
                sequence: app.version + 1,
                data: { projectId, repoId, name },
              };
              const written = yield* storage.deployments.deleteApp({ app, change: change(noted, { id: target }) });
              if (written.done) return ok(undefined);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound('app', target));
                case 'has_live_previews':
                  return err(new HasLivePreviews('app'));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      ),
    );
  }

  #current(appId: string) {
    const { ports, caller } = this.#scope;
    return ports.storage.deployments.getApp(caller.org, appId).andThen(({ found }) => present(found, appId));
  }
}

function present(found: App | null, appId: string): Result<App, NotFound> {
  return found === null ? err(new NotFound('app', appId)) : ok(found);
}
