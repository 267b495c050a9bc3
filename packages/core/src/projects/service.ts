import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import { environmentDescription, environmentName, variableInputs } from '../environments/model.ts';
import type { StoredEnvironment, VariableInput } from '../environments/model.ts';
import { needsSealing, newEnvironment, setVariables } from '../environments/rules.ts';
import { sealerOfNew } from '../environments/sensitive.ts';
import { InvalidInput, NotFound } from '../kernel/errors.ts';
import type { MakingFailure } from '../keys/data-keys.ts';
import type { StoredDataKey } from '../keys/model.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { maximumInitialEnvironments } from '../kernel/limits.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result, ResultAsync } from '../kernel/result.ts';
import { anyText, nameKey } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { ProjectHasChildren, ProjectHasLivePreviews, ProjectNameTaken } from './errors.ts';
import { projectDescription, projectName } from './model.ts';
import type { Project, StoredProject } from './model.ts';
import { canHoldChild, move, newProject, rename, toProject } from './rules.ts';

/** An environment that a project is created with. */
export interface InitialEnvironment {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly variables?: readonly VariableInput[] | undefined;
}

const initialEnvironments = z
  .array(
    z.strictObject({
      name: environmentName,
      description: environmentDescription.nullish(),
      variables: variableInputs.optional(),
    }),
  )
  .min(1)
  .max(maximumInitialEnvironments)
  .superRefine((environments, ctx) => {
    const seen = new Set<string>();
    environments.forEach(({ name }, index) => {
      const key = nameKey(name);
      if (seen.has(key)) ctx.addIssue({ code: 'custom', path: [index, 'name'], message: 'must be unique, case aside' });
      seen.add(key);
    });
  });

const createInput = z.strictObject({
  name: projectName,
  description: projectDescription.nullish(),
  parentProjectId: id.nullish(),
  environments: initialEnvironments.optional(),
  ...commandOptions,
});
const updateInput = z.strictObject({
  name: projectName.optional(),
  description: projectDescription.nullish(),
  ...changeOptions,
});
const moveInput = z.strictObject({ parentProjectId: id.nullable(), ...changeOptions });
const listInput = z.strictObject({ parentProjectId: id.nullish(), ...pageInput });

const anyProject = { type: 'project' };
const project = (projectId: string) => ({ type: 'project', projectId, id: projectId });
const theProject = ([projectId]: readonly [string, ...unknown[]]) => [project(projectId)];
const below = (parentProjectId: string | null | undefined) =>
  parentProjectId == null ? [] : [project(parentProjectId)];

const methods = {
  create: method('projects.create', [''], z.tuple([createInput]), ([input]) => [
    anyProject,
    ...below(input.parentProjectId),
  ]),
  get: method('projects.get', ['id'], z.tuple([id]), theProject),
  getByName: method('projects.getByName', ['name'], z.tuple([projectName]), () => [anyProject]),
  list: method('projects.list', [''], z.tuple([listInput]), () => [anyProject]),
  update: method('projects.update', ['id', ''], z.tuple([id, updateInput]), theProject),
  move: method('projects.move', ['id', ''], z.tuple([id, moveInput]), ([projectId, input]) => [
    project(projectId),
    ...below(input.parentProjectId),
  ]),
  ancestors: method('projects.ancestors', ['id'], z.tuple([id]), theProject),
  delete: method('projects.delete', ['id', ''], z.tuple([id, z.strictObject(changeOptions)]), theProject),
};

const byName = cursorsOf('projects', anyText);
const subject = (projectId: string) => ({ type: 'project', id: projectId });

/** Projects: the owners of environments, in one tree per org (seeds 003 and 004). */
export class Projects {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Creates a project together with its first environments: `Development`, or those given (1–30), the first of which is the default.
   *
   * Errors: `project_name_taken`; `not_found` when the parent does not exist; `limit_reached` (`projectDepth`: 16 levels).
   *
   * @example
   * ada.projects.create({ name: 'Checkout', environments: [{ name: 'Development' }, { name: 'Staging' }] })
   */
  create(
    input: {
      /** 1–100 characters, unique in the org without regard to case. */
      readonly name: string;
      /** At most 500 characters. */
      readonly description?: string | null | undefined;
      /** `null` or not given: at the root. */
      readonly parentProjectId?: string | null | undefined;
      readonly environments?: readonly InitialEnvironment[] | undefined;
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'projects.create', Project> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;

    return operation(scope, methods.create, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const parentId = wanted.parentProjectId ?? null;
      const called = {
        method: methods.create.name,
        target: subject(parentId ?? ''),
        options: { idempotencyKey, signal },
        input: wanted,
      };
      return command(scope, called, {
        ...(parentId === null ? {} : { load: (keyId) => storage.projects.lineage(scope.caller.org, parentId, keyId) }),

        replay: async (made) => {
          const [projectId, defaultEnvironmentId] = [made['id'] as string, made['defaultEnvironmentId'] as string];
          const at = new Date(made['at'] as string);
          return ok(toProject(newProject(wanted, { id: projectId, defaultEnvironmentId, at })));
        },

        attempt: ({ at, change }, parent) =>
          safeTry(async function* () {
            if (parentId !== null) {
              if (parent.lineage.length === 0) return err(new NotFound('project', parentId));
              yield* canHoldChild(parent.lineage);
            }
            const projectId = ids.next();
            const { environments, dataKey } = yield* firstEnvironments(scope, projectId, wanted.environments, at);
            const defaultEnvironmentId = environments[0]!.id;
            const project = newProject(wanted, { id: projectId, defaultEnvironmentId, at });

            const written = yield* storage.projects.create({
              project,
              environments,
              ...(dataKey === null ? {} : { dataKey }),
              treeVersion: parentId === null ? null : parent.treeVersion,
              change: change(
                {
                  subject: subject(projectId),
                  action: 'project.created',
                  sequence: 1,
                  data: { name: project.name, environments: environments.length, defaultEnvironmentId },
                },
                { id: projectId, defaultEnvironmentId, at: at.toISOString() },
              ),
            });
            if (written.done) return ok(toProject(project));
            if (written.refused === 'key_taken') return ok(written.record);
            if (written.refused === 'name_taken') return err(new ProjectNameTaken(project.name));
            return ok(again);
          }),
      });
    });
  }

  /** The project of this id. Errors: `not_found`. */
  get(projectId: string): Outcome<'projects.get', Project> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.get, [projectId], ([target]) =>
      ports.storage.projects
        .get(caller.org, target)
        .andThen(({ found }) => (found === null ? err(new NotFound('project', target)) : ok(toProject(found)))),
    );
  }

  /** The project of this name, whatever its case. Errors: `not_found`. */
  getByName(name: string): Outcome<'projects.getByName', Project> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.getByName, [name], ([wanted]) =>
      ports.storage.projects
        .getByName(caller.org, nameKey(wanted))
        .andThen((found) => (found === null ? err(new NotFound('project')) : ok(toProject(found)))),
    );
  }

  /** Projects by name. `parentProjectId`: the children of one project, or with `null` the roots; not given: all. */
  list(
    input: { readonly parentProjectId?: string | null | undefined } & PageInput = {},
  ): Outcome<'projects.list', Page<Project>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ parentProjectId, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* byName.read(paging);
        const filter = parentProjectId === undefined ? {} : { parentProjectId };
        const stored = yield* ports.storage.projects.list(caller.org, filter, page);
        return ok(byName.page(stored, (last) => last.nameKey, toProject));
      }),
    );
  }

  /**
   * Changes name or description; what is not given stays, `description: null` removes it.
   *
   * Errors: `not_found`, `project_name_taken`, `stale_version`.
   */
  update(
    projectId: string,
    input: { readonly name?: string | undefined; readonly description?: string | null | undefined } & CommandOptions,
  ): Outcome<'projects.update', Project> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.update, [projectId, input], ([target, { name, description, ...options }]) => {
      const called = {
        method: methods.update.name,
        target: subject(target),
        options,
        input: [target, { name, description }],
      };
      return command(scope, called, {
        load: (keyId) => storage.projects.get(scope.caller.org, target, keyId),
        replay: async (_kept, facts) => present(facts?.found, target).map(toProject),
        attempt: ({ at, change }, { found }) =>
          safeTry(async function* () {
            const before = yield* present(found, target);
            yield* checkVersion('project', before, options.expectedVersion);

            const project = rename(before, { name, description }, at);
            const written = yield* storage.projects.update({
              project,
              previousNameKey: before.nameKey,
              expectedVersion: before.version,
              change: change(
                {
                  subject: subject(target),
                  action: 'project.updated',
                  sequence: project.version,
                  data: { name: project.name },
                },
                { id: target, version: project.version },
              ),
            });
            if (written.done) return ok(toProject(project));
            if (written.refused === 'name_taken') return err(new ProjectNameTaken(project.name));
            if (written.refused === 'not_found') return err(new NotFound('project', target));
            return ok(again);
          }),
      });
    });
  }

  /**
   * Hangs the project, with everything below it, under another one, or with `null` at the root.
   *
   * Errors: `not_found` (the project or the new parent), `project_cycle`, `limit_reached` (`projectDepth`), `stale_version`.
   */
  move(
    projectId: string,
    input: { readonly parentProjectId: string | null } & CommandOptions,
  ): Outcome<'projects.move', Project> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.move, [projectId, input], ([target, { parentProjectId, ...options }]) => {
      const called = {
        method: methods.move.name,
        target: subject(target),
        options,
        input: [target, { parentProjectId }],
      };
      return command(scope, called, {
        load: (keyId) => storage.projects.moveFacts(scope.caller.org, target, parentProjectId, keyId),
        replay: async (_kept, facts) => present(facts?.project, target).map(toProject),
        attempt: ({ at, change }, facts) =>
          safeTry(async function* () {
            const before = yield* present(facts.project, target);
            if (parentProjectId !== null && facts.parentLineage.length === 0) {
              return err(new NotFound('project', parentProjectId));
            }
            yield* checkVersion('project', before, options.expectedVersion);

            const project = yield* move(before, facts, at);
            const written = yield* storage.projects.move({
              project,
              previousParentId: before.parentProjectId,
              expectedVersion: before.version,
              treeVersion: facts.treeVersion,
              treeGrowth: facts.treeGrowth,
              change: change(
                {
                  subject: subject(target),
                  action: 'project.moved',
                  sequence: project.version,
                  data: { from: before.parentProjectId, to: parentProjectId },
                },
                { id: target, version: project.version },
              ),
            });
            if (written.done) return ok(toProject(project));
            if (written.refused === 'not_found') return err(new NotFound('project', target));
            return ok(again);
          }),
      });
    });
  }

  /** The project's ancestors, its parent first and the root last; empty for a root. Errors: `not_found`. */
  ancestors(projectId: string): Outcome<'projects.ancestors', readonly Project[]> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.ancestors, [projectId], ([target]) =>
      ports.storage.projects
        .lineage(caller.org, target)
        .andThen(({ lineage }) =>
          lineage.length === 0 ? err(new NotFound('project', target)) : ok(lineage.slice(1).map(toProject)),
        ),
    );
  }

  /**
   * Deletes the project with all its environments.
   *
   * Errors: `not_found`, `project_has_children`, `project_has_live_previews`, `stale_version`.
   */
  delete(projectId: string, options: CommandOptions = {}): Outcome<'projects.delete', void> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.delete, [projectId, options], ([target, given]) => {
      const called = { method: methods.delete.name, target: subject(target), options: given, input: [target] };
      return command(scope, called, {
        load: (keyId) => storage.projects.get(scope.caller.org, target, keyId),
        replay: async () => ok(undefined),
        attempt: ({ at: _at, change }, { found }) =>
          safeTry(async function* () {
            const project = yield* present(found, target);
            yield* checkVersion('project', project, given.expectedVersion);

            const written = yield* storage.projects.delete({
              project,
              change: change(
                {
                  subject: subject(target),
                  action: 'project.deleted',
                  sequence: project.version + 1,
                  data: { name: project.name },
                },
                { id: target },
              ),
            });
            if (written.done) return ok(undefined);
            if (written.refused === 'has_children') return err(new ProjectHasChildren(target));
            if (written.refused === 'has_live_previews') return err(new ProjectHasLivePreviews(target));
            if (written.refused === 'not_found') return err(new NotFound('project', target));
            return ok(again);
          }),
      });
    });
  }
}

function present(found: StoredProject | null | undefined, projectId: string): Result<StoredProject, NotFound> {
  return found == null ? err(new NotFound('project', projectId)) : ok(found);
}

/** The environments that a project begins with, each checked against the limits by itself. */
function firstEnvironments(
  scope: Scope,
  projectId: string,
  given: readonly InitialEnvironment[] = [{ name: 'Development' }],
  at: Date,
): ResultAsync<
  { readonly environments: readonly StoredEnvironment[]; readonly dataKey: StoredDataKey | null },
  InvalidInput | MakingFailure
> {
  const { ids, limits } = scope.ports;
  return safeTry(async function* () {
    const maximum = limits.environmentsPerProject;
    if (given.length > maximum) {
      return err(new InvalidInput([{ path: 'environments', message: `must have at most ${maximum} environments` }]));
    }
    const sealed = given.some(({ variables = [] }) => needsSealing([], variables));
    const sealers = sealed ? yield* sealerOfNew(scope, projectId) : null;
    const environments: StoredEnvironment[] = [];
    for (const [index, { variables: inputs = [], ...environment }] of given.entries()) {
      const id = ids.next();
      const variables = yield* setVariables([], inputs, limits, sealers?.sealerFor(id) ?? null).mapErr((error) =>
        inside(`environments[${index}]`, error),
      );
      environments.push(newEnvironment({ ...environment, projectId }, variables, { id, at }));
    }
    return ok({ environments, dataKey: sealers?.dataKey ?? null });
  });
}

function inside<E>(path: string, error: E | InvalidInput): E | InvalidInput {
  if (!(error instanceof InvalidInput)) return error;
  return new InvalidInput(error.issues.map((issue) => ({ ...issue, path: `${path}.${issue.path}` })));
}
