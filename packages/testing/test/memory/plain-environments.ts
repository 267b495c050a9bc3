import {
  EnvironmentNameTaken,
  err,
  LastEnvironment,
  LimitReached,
  NotFound,
  ok,
  ProjectCycle,
  ProjectHasChildren,
  ProjectNameTaken,
  SecretText,
} from '@vivarium/core';
import type { EnvironmentRef, Limits, VivariumError } from '@vivarium/core';
import { compile, resolveVariables } from '@vivarium/core/templates';

import { byName, clean, folded, invalid, pageOf } from './plain-ledger.ts';
import type { Answer, Options, PageInput, PlainLedger } from './plain-ledger.ts';

type VariableInputs = readonly Variable[];

interface Variable {
  readonly key: string;
  readonly value: string;
  readonly description?: string;
}

interface PlainProject {
  readonly id: string;
  name: string;
  description: string | null;
  parent: PlainProject | null;
  default: PlainEnvironment;
  version: number;
  readonly createdAt: Date;
  updatedAt: Date;
}

interface PlainEnvironment {
  readonly id: string;
  readonly project: PlainProject;
  name: string;
  description: string | null;
  variables: readonly Variable[];
  version: number;
  readonly createdAt: Date;
  updatedAt: Date;
}

/** Projects and environments of an org. */
export function plainEnvironments({ now, newId, note, kept, keep, stale }: PlainLedger, limits: Limits) {
  let projects: PlainProject[] = [];
  let environments: PlainEnvironment[] = [];

  const projectOf = (id: string) => projects.find((project) => project.id === id);
  const childrenOf = (project: PlainProject) => projects.filter(({ parent }) => parent === project);
  const environmentsOf = (project: PlainProject) => environments.filter((one) => one.project === project);
  const environmentAt = (ref: EnvironmentRef) =>
    environments.find((one) => one.id === ref.id && one.project.id === ref.projectId);
  const lineOf = (project: PlainProject | null): PlainProject[] =>
    project === null ? [] : [project, ...lineOf(project.parent)];
  const heightOf = (project: PlainProject): number => 1 + Math.max(0, ...childrenOf(project).map(heightOf));
  const projectNamed = (name: string) => projects.find((project) => folded(project.name) === folded(name));
  const environmentNamed = (project: PlainProject, name: string) =>
    environmentsOf(project).find((one) => folded(one.name) === folded(name));

  const seenProject = (project: PlainProject) => ({
    id: project.id,
    name: project.name,
    description: project.description,
    parentProjectId: project.parent?.id ?? null,
    defaultEnvironmentId: project.default.id,
    version: project.version,
    createdAt: project.createdAt,
    updatedAt: project.updatedAt,
  });
  const seenVariable = (variable: Variable) => ({ ...variable, sensitive: false });
  const seenEnvironment = (one: PlainEnvironment) => ({
    id: one.id,
    projectId: one.project.id,
    ref: { projectId: one.project.id, id: one.id },
    name: one.name,
    description: one.description,
    variables: one.variables.map(seenVariable),
    isDefault: one.project.default === one,
    version: one.version,
    createdAt: one.createdAt,
    updatedAt: one.updatedAt,
  });
  const seenSummary = (one: PlainEnvironment) => {
    const { description: _description, variables, ...summary } = seenEnvironment(one);
    return { ...summary, variableCount: variables.length, variableBytes: bytesOf(one.variables) };
  };

  const projectAnswer = (id: string): Answer => {
    const project = projectOf(id);
    return project === undefined ? err(new NotFound('project', id)) : ok(seenProject(project));
  };
  const environmentAnswer = (ref: EnvironmentRef): Answer => {
    const found = environmentAt(ref);
    return found === undefined ? err(new NotFound('environment', ref.id)) : ok(seenEnvironment(found));
  };

  const tooMuch = (variables: readonly Variable[]) => {
    const { variablesPerEnvironment: count, variableBytesPerEnvironment: bytes } = limits;
    if (variables.length > count)
      return { limit: 'variablesPerEnvironment', maximum: count, words: `at most ${count} variables` };
    if (bytesOf(variables) > bytes)
      return { limit: 'variableBytesPerEnvironment', maximum: bytes, words: `at most ${bytes} bytes as JSON` };
    return null;
  };
  const newEnvironment = (
    project: PlainProject,
    given: { name: string; description?: string | null; variables?: VariableInputs },
  ): PlainEnvironment => ({
    id: newId(),
    project,
    name: clean(given.name),
    description: given.description ?? null,
    variables: given.variables ?? [],
    version: 1,
    createdAt: now(),
    updatedAt: now(),
  });

  /** Finds the environment of a command, or what stands against the command. */
  const changing = (
    method: string,
    ref: EnvironmentRef,
    options: Options,
    input: unknown,
    change: (found: PlainEnvironment) => Answer,
  ): Answer => {
    const before = kept(method, options, input);
    if (before !== null) return before;
    const found = environmentAt(ref);
    if (found === undefined) return err(new NotFound('environment', ref.id));
    const outdated = stale('environment', found, options);
    return outdated === null ? change(found) : err(outdated);
  };
  const changed = (one: PlainEnvironment) => {
    one.version++;
    one.updatedAt = now();
  };
  const writeVariables = (one: PlainEnvironment, variables: readonly Variable[]) => {
    const touched = difference(one.variables, variables);
    one.variables = variables;
    changed(one);
    const facts = { projectId: one.project.id, ...withoutEmpty(touched) };
    note('environment', one.id, 'variables_changed', one.version, facts);
    return ok(seenEnvironment(one));
  };
  const addEnvironment = (made: PlainEnvironment, origin: object) => {
    environments.push(made);
    const added = made.variables.map(({ key }) => key);
    note('environment', made.id, 'created', 1, {
      projectId: made.project.id,
      name: made.name,
      ...origin,
      ...withoutEmpty({ added }),
    });
    return seenEnvironment(made);
  };
  const noRoom = (project: PlainProject, name: string): VivariumError | null => {
    const maximum = limits.environmentsPerProject;
    if (environmentsOf(project).length >= maximum) return new LimitReached('environmentsPerProject', maximum);
    return environmentNamed(project, name) === undefined ? null : new EnvironmentNameTaken(clean(name), project.id);
  };

  return {
    projects: {
      create: async ({
        idempotencyKey,
        ...given
      }: {
        name: string;
        description?: string;
        parentProjectId?: string;
        environments?: readonly { name: string; description?: string; variables?: VariableInputs }[];
        idempotencyKey?: string;
      }) => {
        const { name, description, parentProjectId, environments: first = [{ name: 'Development' }] } = given;
        const options = idempotencyKey === undefined ? {} : { idempotencyKey };
        const input = [
          clean(name),
          description,
          parentProjectId,
          given.environments?.map((one) => ({ ...one, name: clean(one.name) })),
        ];
        const parent = parentProjectId === undefined ? null : projectOf(parentProjectId);
        if (parentProjectId !== undefined) {
          const before = kept('projects.create', options, input);
          if (before !== null) return before;
          if (parent === undefined) return err(new NotFound('project', parentProjectId));
          if (lineOf(parent).length + 1 > 16) return err(new LimitReached('projectDepth', 16));
        }
        for (const [index, { variables = [] }] of first.entries()) {
          const broken = tooMuch(variables);
          if (broken !== null) return err(invalid(`environments[${index}].variables`, `must have ${broken.words}`));
        }
        const before = kept('projects.create', options, input);
        if (before !== null) return before;
        if (projectNamed(name) !== undefined) return err(new ProjectNameTaken(clean(name)));

        const project = {
          id: newId(),
          name: clean(name),
          description: description ?? null,
          parent: parent ?? null,
          version: 1,
          createdAt: now(),
          updatedAt: now(),
        } as PlainProject;
        const made = first.map((one) => newEnvironment(project, one));
        project.default = made[0]!;
        projects.push(project);
        environments.push(...made);
        const defaultEnvironmentId = project.default.id;
        note('project', project.id, 'created', 1, {
          name: project.name,
          environments: made.length,
          defaultEnvironmentId,
        });
        const answer = seenProject(project);
        keep('projects.create', options, input, () => ok(answer));
        return ok(answer);
      },
      get: async (id: string) => projectAnswer(id),
      getByName: async (name: string) => {
        const project = projectNamed(name);
        return project === undefined ? err(new NotFound('project')) : ok(seenProject(project));
      },
      list: async ({ parentProjectId, ...page }: { parentProjectId?: string | null } & PageInput) =>
        pageOf(
          byName(
            projects.filter(({ parent }) => parentProjectId === undefined || (parent?.id ?? null) === parentProjectId),
          ),
          page,
          seenProject,
        ),
      update: async (
        id: string,
        { name, description, ...options }: { name?: string; description?: string | null } & Options,
      ) => {
        const input = [id, name === undefined ? undefined : clean(name), description];
        const before = kept('projects.update', options, input);
        if (before !== null) return before;
        const project = projectOf(id);
        if (project === undefined) return err(new NotFound('project', id));
        const outdated = stale('project', project, options);
        if (outdated !== null) return err(outdated);
        const holder = name === undefined ? undefined : projectNamed(name);
        if (holder !== undefined && holder !== project) return err(new ProjectNameTaken(clean(name!)));
        if (name !== undefined) project.name = clean(name);
        if (description !== undefined) project.description = description;
        project.version++;
        project.updatedAt = now();
        note('project', id, 'updated', project.version, { name: project.name });
        keep('projects.update', options, input, () => projectAnswer(id));
        return ok(seenProject(project));
      },
      move: async (id: string, { parentProjectId, ...options }: { parentProjectId: string | null } & Options) => {
        const input = [id, parentProjectId];
        const before = kept('projects.move', options, input);
        if (before !== null) return before;
        const project = projectOf(id);
        if (project === undefined) return err(new NotFound('project', id));
        const parent = parentProjectId === null ? null : projectOf(parentProjectId);
        if (parent === undefined) return err(new NotFound('project', parentProjectId));
        const outdated = stale('project', project, options);
        if (outdated !== null) return err(outdated);
        const line = lineOf(parent);
        if (line.includes(project))
          return err(new ProjectCycle(line.slice(0, line.indexOf(project) + 1).map((one) => one.id)));
        if (line.length + heightOf(project) > 16) return err(new LimitReached('projectDepth', 16));
        const from = project.parent?.id ?? null;
        project.parent = parent;
        project.version++;
        project.updatedAt = now();
        note('project', id, 'moved', project.version, { from, to: parentProjectId });
        keep('projects.move', options, input, () => projectAnswer(id));
        return ok(seenProject(project));
      },
      ancestors: async (id: string) => {
        const project = projectOf(id);
        if (project === undefined) return err(new NotFound('project', id));
        return ok(lineOf(project.parent).map(seenProject));
      },
      delete: async (id: string, options: Options) => {
        const before = kept('projects.delete', options, [id]);
        if (before !== null) return before;
        const project = projectOf(id);
        if (project === undefined) return err(new NotFound('project', id));
        const outdated = stale('project', project, options);
        if (outdated !== null) return err(outdated);
        if (childrenOf(project).length > 0) return err(new ProjectHasChildren(id));
        projects = projects.filter((one) => one !== project);
        environments = environments.filter((one) => one.project !== project);
        note('project', id, 'deleted', project.version + 1, { name: project.name });
        keep('projects.delete', options, [id], () => ok(undefined));
        return ok(undefined);
      },
    },

    environments: {
      create: async ({
        projectId,
        idempotencyKey,
        ...given
      }: {
        projectId: string;
        name: string;
        description?: string;
        variables?: VariableInputs;
        idempotencyKey?: string;
      }) => {
        const options = idempotencyKey === undefined ? {} : { idempotencyKey };
        const input = [projectId, clean(given.name), given.description, given.variables];
        const broken = tooMuch(given.variables ?? []);
        if (broken !== null) return err(invalid('variables', `must have ${broken.words}`));
        const before = kept('environments.create', options, input);
        if (before !== null) return before;
        const project = projectOf(projectId);
        if (project === undefined) return err(new NotFound('project', projectId));
        const refusal = noRoom(project, given.name);
        if (refusal !== null) return err(refusal);
        const answer = addEnvironment(newEnvironment(project, given), {});
        keep('environments.create', options, input, () => ok(answer));
        return ok(answer);
      },
      get: async (ref: EnvironmentRef) => environmentAnswer(ref),
      getByName: async (projectId: string, name: string) => {
        const project = projectOf(projectId);
        const found = project && environmentNamed(project, name);
        return found === undefined ? err(new NotFound('environment')) : ok(seenEnvironment(found));
      },
      getDefault: async (projectId: string) => {
        const project = projectOf(projectId);
        return project === undefined ? err(new NotFound('project', projectId)) : ok(seenEnvironment(project.default));
      },
      list: async ({ projectId, ...page }: { projectId: string } & PageInput) => {
        const project = projectOf(projectId);
        if (project === undefined) return err(new NotFound('project', projectId));
        const others = byName(environmentsOf(project).filter((one) => one !== project.default));
        return pageOf([project.default, ...others], page, seenSummary);
      },
      search: async ({
        projectId,
        name,
        variableKey,
        ...page
      }: { projectId: string; name?: string; variableKey?: string } & PageInput) => {
        const project = projectOf(projectId);
        if (project === undefined) return err(new NotFound('project', projectId));
        const found = environmentsOf(project)
          .filter((one) => name === undefined || folded(one.name).includes(folded(name)))
          .filter((one) => variableKey === undefined || one.variables.some(({ key }) => key === variableKey));
        return pageOf(byName(found), page, seenSummary);
      },
      stats: async (projectId: string) => {
        const project = projectOf(projectId);
        if (project === undefined) return err(new NotFound('project', projectId));
        const all = environmentsOf(project);
        return ok({
          environments: all.length,
          variables: figures(all.map(({ variables }) => variables.length)),
          bytes: figures(all.map(({ variables }) => bytesOf(variables))),
        });
      },
      update: async (
        ref: EnvironmentRef,
        { name, description, ...options }: { name?: string; description?: string | null } & Options,
      ) => {
        const input = [ref.projectId, ref.id, name === undefined ? undefined : clean(name), description];
        return changing('environments.update', ref, options, input, (found) => {
          const holder = name === undefined ? undefined : environmentNamed(found.project, name);
          if (holder !== undefined && holder !== found)
            return err(new EnvironmentNameTaken(clean(name!), ref.projectId));
          if (name !== undefined) found.name = clean(name);
          if (description !== undefined) found.description = description;
          changed(found);
          note('environment', ref.id, 'updated', found.version, { projectId: ref.projectId, name: found.name });
          keep('environments.update', options, input, () => environmentAnswer(ref));
          return ok(seenEnvironment(found));
        });
      },
      setVariables: async (ref: EnvironmentRef, { variables, ...options }: { variables: VariableInputs } & Options) => {
        const input = [ref.projectId, ref.id, variables];
        return changing('environments.setVariables', ref, options, input, (found) => {
          const broken = tooMuch(variables);
          if (broken !== null) return err(invalid('variables', `must have ${broken.words}`));
          keep('environments.setVariables', options, input, () => environmentAnswer(ref));
          return writeVariables(found, variables);
        });
      },
      patchVariables: async (
        ref: EnvironmentRef,
        { set, unset, ...options }: { set: VariableInputs; unset: readonly string[] } & Options,
      ) => {
        const input = [ref.projectId, ref.id, set, unset];
        return changing('environments.patchVariables', ref, options, input, (found) => {
          const alone = tooMuch(set);
          if (alone !== null) return err(invalid('set', `must have ${alone.words}`));
          const replaced = found.variables
            .filter(({ key }) => !unset.includes(key))
            .map((old) => ({ ...old, ...set.find(({ key }) => key === old.key) }));
          const fresh = set.filter(({ key }) => !found.variables.some((old) => old.key === key));
          const variables = [...replaced, ...fresh];
          const broken = tooMuch(variables);
          if (broken !== null) return err(new LimitReached(broken.limit, broken.maximum));
          keep('environments.patchVariables', options, input, () => environmentAnswer(ref));
          return writeVariables(found, variables);
        });
      },
      makeDefault: async (ref: EnvironmentRef, options: Options) => {
        const input = [ref.projectId, ref.id];
        return changing('environments.makeDefault', ref, options, input, (found) => {
          found.project.default = found;
          note('environment', ref.id, 'made_default', null, { projectId: ref.projectId, name: found.name });
          keep('environments.makeDefault', options, input, () => environmentAnswer(ref));
          return ok(seenEnvironment(found));
        });
      },
      duplicate: async (ref: EnvironmentRef, { name, ...options }: { name: string } & Options) => {
        const input = [ref.projectId, ref.id, clean(name)];
        return changing('environments.duplicate', ref, options, input, (found) => {
          const refusal = noRoom(found.project, name);
          if (refusal !== null) return err(refusal);
          const copy = newEnvironment(found.project, { ...found, name });
          const answer = addEnvironment(copy, { duplicateOf: found.id });
          keep('environments.duplicate', options, input, () => environmentAnswer(answer.ref));
          return ok(answer);
        });
      },
      diff: async (refA: EnvironmentRef, refB: EnvironmentRef) => {
        const [a, b] = [environmentAt(refA), environmentAt(refB)];
        if (a === undefined) return err(new NotFound('environment', refA.id));
        if (b === undefined) return err(new NotFound('environment', refB.id));
        const { added, changed: other, removed } = difference(a.variables, b.variables);
        const seen = (one: PlainEnvironment, wanted: string) => {
          const variable = one.variables.find(({ key }) => key === wanted);
          return variable === undefined ? null : seenVariable(variable);
        };
        const differences = [...added, ...other, ...removed].sort().map((key) => ({
          key,
          change: added.includes(key) ? 'added' : removed.includes(key) ? 'removed' : 'changed',
          before: seen(a, key),
          after: seen(b, key),
        }));
        const all = new Set([...a.variables, ...b.variables].map(({ key }) => key));
        return ok({ differences, same: all.size - differences.length });
      },
      delete: async (ref: EnvironmentRef, { promote, ...options }: { promote?: EnvironmentRef } & Options) => {
        const input = [ref.projectId, ref.id, promote?.projectId, promote?.id];
        return changing('environments.delete', ref, options, input, (found) => {
          const others = environmentsOf(found.project).filter((one) => one !== found);
          const named = promote && others.find((one) => one === environmentAt(promote));
          if (promote !== undefined && named === undefined) return err(new NotFound('environment', promote.id));
          const oldest = others.toSorted(
            (one, two) => one.createdAt.getTime() - two.createdAt.getTime() || (one.id < two.id ? -1 : 1),
          )[0];
          const heir = named ?? oldest;
          if (heir === undefined) return err(new LastEnvironment(ref.projectId));
          const wasDefault = found.project.default === found;
          if (wasDefault) found.project.default = heir;
          environments = environments.filter((one) => one !== found);
          note('environment', ref.id, 'deleted', found.version + 1, {
            projectId: ref.projectId,
            name: found.name,
            promoted: wasDefault ? heir.id : null,
          });
          keep('environments.delete', options, input, () => ok(undefined));
          return ok(undefined);
        });
      },
      reveal: async (ref: EnvironmentRef, { keys: wanted }: { keys: readonly string[] }) => {
        const found = environmentAt(ref);
        if (found === undefined) return err(new NotFound('environment', ref.id));
        const values = new Map(found.variables.map(({ key, value }) => [key, value]));
        const missing = wanted.find((key) => !values.has(key));
        if (missing !== undefined) return err(new NotFound('variable', missing));
        return ok(new Map(wanted.map((key) => [key, new SecretText(values.get(key)!)])));
      },
      resolve: async (ref: EnvironmentRef, { overrides }: { overrides?: Record<string, string> }) => {
        const found = environmentAt(ref);
        if (found === undefined) return err(new NotFound('environment', ref.id));
        return resolveVariables(found.variables, { overrides });
      },
      render: async (ref: EnvironmentRef, template: string, { missing }: { missing: 'keep' | 'error' }) => {
        const found = environmentAt(ref);
        if (found === undefined) return err(new NotFound('environment', ref.id));
        return resolveVariables(found.variables).andThen((variables) =>
          compile(template).andThen((compiled) => compiled.render(variables, { missing })),
        );
      },
    },
  };
}

function bytesOf(variables: readonly Variable[]): number {
  const document = variables.map(({ key, value, description }) => ({ key, value, description }));
  return Buffer.byteLength(JSON.stringify(document));
}

function difference(before: readonly Variable[], after: readonly Variable[]) {
  const [old, fresh] = [new Map(before.map(pair)), new Map(after.map(pair))];
  return {
    added: [...fresh.keys()].filter((key) => !old.has(key)).sort(),
    changed: [...fresh.keys()].filter((key) => old.has(key) && old.get(key) !== fresh.get(key)).sort(),
    removed: [...old.keys()].filter((key) => !fresh.has(key)).sort(),
  };
}

function pair({ key, value }: Variable): [string, string] {
  return [key, value];
}

function withoutEmpty(lists: Readonly<Record<string, readonly string[]>>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0));
}

function figures(numbers: readonly number[]) {
  const total = numbers.reduce((sum, number) => sum + number, 0);
  return { total, mean: numbers.length === 0 ? 0 : total / numbers.length, largest: Math.max(0, ...numbers) };
}
