import { decodeVariables, encodeVariables } from '../../environments/model.ts';
import type { LoadedEnvironment, StoredEnvironment, StoredSummary } from '../../environments/model.ts';
import type { EnvironmentRepository } from '../../environments/repository.ts';
import { compareBytes, utf8Length } from '../../kernel/text.ts';
import { environmentRow, row } from './tables.ts';
import type { EnvironmentRow, OrgTables, Session } from './tables.ts';
import { answer, keptUnder, write } from './writing.ts';

export function memoryEnvironments(session: Session): EnvironmentRepository {
  return {
    create: ({ environment, maximum, change }) =>
      write(
        session,
        change,
        (org) => {
          if (!org.projects.has(environment.projectId)) return 'not_found';
          const siblings = rowsOf(org, environment.projectId);
          if (siblings.length >= maximum) return 'limit_reached';
          return siblings.some(({ nameKey }) => nameKey === environment.nameKey) ? 'name_taken' : null;
        },
        (org) => org.environments.set(environment.id, environmentRow(environment)),
      ),

    get: (orgId, { projectId, id }, keyId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        return { found: find(org, projectId, id), key: keptUnder(org, keyId) };
      }),

    getByName: (orgId, projectId, nameKey) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        const found = rowsOf(org, projectId).find((environment) => environment.nameKey === nameKey);
        return found === undefined ? null : load(org, found);
      }),

    getDefault: (orgId, projectId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        const id = org.projects.get(projectId)?.defaultEnvironmentId;
        return id === undefined ? null : find(org, projectId, id);
      }),

    getTwo: (orgId, a, b) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        return [find(org, a.projectId, a.id), find(org, b.projectId, b.id)];
      }),

    list: (orgId, projectId, { limit, after }) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        if (!org.projects.has(projectId)) return null;
        const byName = environmentsOf(org, projectId).sort((a, b) => compareBytes(a.nameKey, b.nameKey));
        const behind =
          after === null
            ? [...byName.filter(({ isDefault }) => isDefault), ...byName.filter(({ isDefault }) => !isDefault)]
            : byName.filter(
                ({ id, nameKey }) =>
                  id !== after.first && (after.nameKey === null || compareBytes(nameKey, after.nameKey) > 0),
              );
        return { items: behind.slice(0, limit).map(toSummary), more: behind.length > limit };
      }),

    search: (orgId, projectId, filter, { limit, after }) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        if (!org.projects.has(projectId)) return null;
        const behind = environmentsOf(org, projectId)
          .filter(({ nameKey }) => nameKey.includes(filter.nameKey ?? ''))
          .filter(
            ({ variables }) =>
              filter.variableKey === undefined || variables.some(({ key }) => key === filter.variableKey),
          )
          .filter(({ nameKey }) => after === null || compareBytes(nameKey, after) > 0)
          .sort((a, b) => compareBytes(a.nameKey, b.nameKey));
        return { items: behind.slice(0, limit).map(toSummary), more: behind.length > limit };
      }),

    stats: (orgId, projectId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        if (!org.projects.has(projectId)) return null;
        const summaries = environmentsOf(org, projectId).map(toSummary);
        return {
          environments: summaries.length,
          variables: figures(summaries.map(({ variableCount }) => variableCount)),
          bytes: figures(summaries.map(({ variableBytes }) => variableBytes)),
        };
      }),

    update: ({ environment, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          const refused = changed(org, environment, expectedVersion);
          if (refused !== null) return refused;
          const holder = rowsOf(org, environment.projectId).find(({ nameKey }) => nameKey === environment.nameKey);
          return holder === undefined || holder.id === environment.id ? null : 'name_taken';
        },
        (org) => {
          const there = org.environments.get(environment.id)!;
          const { name, nameKey, description, version, updatedAt } = environment;
          org.environments.set(there.id, row({ ...there, name, nameKey, description, version, updatedAt }));
        },
      ),

    setVariables: ({ environment, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => changed(org, environment, expectedVersion),
        (org) => {
          const there = org.environments.get(environment.id)!;
          const { variables, version, updatedAt } = environment;
          const document = encodeVariables(variables);
          org.environments.set(there.id, row({ ...there, variables: document, version, updatedAt }));
        },
      ),

    makeDefault: ({ ref, change }) =>
      write(
        session,
        change,
        (org) => (rowAt(org, ref.projectId, ref.id) === null ? 'not_found' : null),
        (org) => pointDefault(org, ref.projectId, ref.id),
      ),

    deleteFacts: (orgId, { projectId, id }, promote, keyId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        const others = rowsOf(org, projectId)
          .filter((environment) => environment.id !== id && (promote === undefined || environment.id === promote))
          .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || compareBytes(a.id, b.id));
        return {
          environment: find(org, projectId, id),
          heir: others[0]?.id ?? null,
          key: keptUnder(org, keyId),
        };
      }),

    delete: ({ environment, promote, change }) =>
      write(
        session,
        change,
        (org) => {
          const refused = changed(org, environment, environment.version);
          if (refused !== null) return refused;
          if (rowsOf(org, environment.projectId).length === 1) return 'last_environment';
          const isDefault = org.projects.get(environment.projectId)!.defaultEnvironmentId === environment.id;
          if (isDefault !== environment.isDefault) return 'stale';
          return promote !== null && rowAt(org, environment.projectId, promote) === null ? 'stale' : null;
        },
        (org) => {
          if (promote !== null) pointDefault(org, environment.projectId, promote);
          org.environments.delete(environment.id);
        },
      ),
  };
}

function rowsOf(org: OrgTables, projectId: string): EnvironmentRow[] {
  return [...org.environments.values()].filter((environment) => environment.projectId === projectId);
}

function rowAt(org: OrgTables, projectId: string, id: string): EnvironmentRow | null {
  const found = org.environments.get(id);
  return found?.projectId === projectId ? found : null;
}

function environmentsOf(org: OrgTables, projectId: string): LoadedEnvironment[] {
  return rowsOf(org, projectId).map((found) => load(org, found));
}

function find(org: OrgTables, projectId: string, id: string): LoadedEnvironment | null {
  const found = rowAt(org, projectId, id);
  return found === null ? null : load(org, found);
}

function load(org: OrgTables, { variables, ...environment }: EnvironmentRow): LoadedEnvironment {
  return {
    ...environment,
    variables: decodeVariables(variables),
    isDefault: org.projects.get(environment.projectId)?.defaultEnvironmentId === environment.id,
  };
}

function changed(org: OrgTables, environment: StoredEnvironment, version: number): 'not_found' | 'stale' | null {
  const there = rowAt(org, environment.projectId, environment.id);
  if (there === null) return 'not_found';
  return there.version === version ? null : 'stale';
}

/** The pointer is no part of what the project's version counts. */
function pointDefault(org: OrgTables, projectId: string, environmentId: string): void {
  const project = org.projects.get(projectId)!;
  org.projects.set(projectId, row({ ...project, defaultEnvironmentId: environmentId }));
}

function toSummary(environment: LoadedEnvironment): StoredSummary {
  const { description: _description, variables, ...summary } = environment;
  return { ...summary, variableCount: variables.length, variableBytes: utf8Length(encodeVariables(variables)) };
}

function figures(numbers: readonly number[]) {
  const total = numbers.reduce((sum, number) => sum + number, 0);
  return { total, mean: numbers.length === 0 ? 0 : total / numbers.length, largest: Math.max(0, ...numbers) };
}
