import { compareBytes, decodeVariables, encodeVariables, StorageFailure, utf8Length } from '@vivarium/core/storage';
import type {
  EnvironmentRef,
  EnvironmentRepository,
  KeyId,
  KeyRecord,
  LoadedEnvironment,
  StoredSummary,
} from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import {
  belongTogether,
  environmentItems,
  idOf,
  readEnvironment,
  readSummary,
  textsItem,
} from './environment-items.ts';
import { above, all, below, equal, exists, missing, unequal } from './expressions.ts';
import {
  environmentKey,
  environmentNameKey,
  environmentSpan,
  isEnvironmentKey,
  isVariablesKey,
  projectKey,
  variablesKey,
  variablesSpan,
} from './keys.ts';
import type { Key, Span } from './keys.ts';
import { isThere, projectIsThere } from './project-items.ts';
import { settled } from './settle.ts';
import type { Found, Range, Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

export function dynamodbEnvironments(table: Table): EnvironmentRepository {
  return {
    create: ({ environment, maximum, change }) =>
      table.answer('write', () => {
        const { orgId, key, at } = change;
        const project = projectKey(orgId, environment.projectId);
        const { head, texts, claim } = environmentItems(orgId, environment);
        const full = (there: Item | null) =>
          isThere(there) ? (integerOf(there, 'environments') < maximum ? null : 'limit_reached') : 'not_found';
        return write<'not_found' | 'limit_reached' | 'name_taken'>(table, change, {
          owners: [project],
          steps: [
            {
              update: project,
              changes: { add: { environments: 1 } },
              when: all(projectIsThere, below('environments', integer(maximum))),
              else: (there) => full(there) ?? 'limit_reached',
            },
            { put: head, when: missing, else: () => idTaken(environment.id) },
            { put: texts },
            { put: claim, when: missing, else: () => 'name_taken' },
          ],
          // Whoever waits for a place in a project that has filled up meanwhile need not try on.
          async beforeRetry() {
            const found = await table.get(project, ...keyOf(orgId, key?.id));
            const kept = keptUnder(found, orgId, key?.id);
            if (kept !== null && kept.expiresAt > at) return { done: false, refused: 'key_taken', record: kept };
            const refused = full(found.of(project));
            return refused === null ? null : { done: false, refused };
          },
        });
      }),

    get: (orgId, ref, keyId) =>
      table.answer('read', async () => {
        const { environments, key } = await load(orgId, [ref], keyId);
        return { found: environments[0]!, key };
      }),

    getByName: (orgId, projectId, nameKey) =>
      table.answer('read', () =>
        settled('the environment', async () => {
          const claim = environmentNameKey(orgId, projectId, nameKey);
          const holder = (await table.get(claim)).of(claim);
          if (holder === null) return { value: null };
          const { environments, found } = await load(orgId, [{ projectId, id: textOf(holder, 'id') }]);
          if (!isThere(found.of(projectKey(orgId, projectId)))) return { value: null };
          const [environment] = environments;
          // Renamed or deleted in between: somebody else may have the name by now.
          return environment?.nameKey === nameKey ? { value: environment } : null;
        }),
      ),

    getDefault: (orgId, projectId) =>
      table.answer('read', () =>
        settled('the project', async () => {
          const key = projectKey(orgId, projectId);
          const project = (await table.get(key)).of(key);
          if (!isThere(project)) return { value: null };
          const { environments } = await load(orgId, [{ projectId, id: textOf(project, 'default') }]);
          const [environment] = environments;
          return environment?.isDefault === true ? { value: environment } : null;
        }),
      ),

    getTwo: (orgId, a, b) =>
      table.answer('read', async () => {
        const { environments } = await load(orgId, [a, b]);
        return [environments[0]!, environments[1]!] as const;
      }),

    list: (orgId, projectId, { limit, after }) =>
      table.answer('read', async () => {
        const summaries = await summariesOf(orgId, projectId);
        if (summaries === null) return null;
        const following =
          after === null
            ? [...summaries.filter(({ isDefault }) => isDefault), ...summaries.filter(({ isDefault }) => !isDefault)]
            : summaries.filter(
                ({ id, nameKey }) =>
                  id !== after.first && (after.nameKey === null || compareBytes(nameKey, after.nameKey) > 0),
              );
        return { items: following.slice(0, limit), more: following.length > limit };
      }),

    search: (orgId, projectId, { nameKey = '', variableKey }, { limit, after }) =>
      table.answer('read', async () => {
        const summaries =
          variableKey === undefined
            ? await summariesOf(orgId, projectId)
            : await summariesWith(orgId, projectId, variableKey);
        if (summaries === null) return null;
        const following = summaries
          .filter((summary) => summary.nameKey.includes(nameKey))
          .filter((summary) => after === null || compareBytes(summary.nameKey, after) > 0);
        return { items: following.slice(0, limit), more: following.length > limit };
      }),

    stats: (orgId, projectId) =>
      table.answer('read', async () => {
        const summaries = await summariesOf(orgId, projectId);
        if (summaries === null) return null;
        return {
          environments: summaries.length,
          variables: figures(summaries.map(({ variableCount }) => variableCount)),
          bytes: figures(summaries.map(({ variableBytes }) => variableBytes)),
        };
      }),

    update: ({ environment, previousNameKey, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const { projectId, id, name, nameKey, description, version, updatedAt } = environment;
        const head = environmentKey(orgId, projectId, id);
        const renamed = nameKey !== previousNameKey;
        return write<'not_found' | 'stale' | 'name_taken'>(table, change, {
          owners: [head],
          steps: [
            {
              update: head,
              changes: {
                set: {
                  name: text(name),
                  nameKey: text(nameKey),
                  version: integer(version),
                  textVersion: integer(version),
                  updatedAt: time(updatedAt),
                },
              },
              when: all(exists, equal('version', integer(expectedVersion))),
              else: changed,
            },
            {
              update: variablesKey(orgId, projectId, id),
              changes: {
                set: { description: description === null ? null : text(description), version: integer(version) },
              },
              when: exists,
              else: changed,
            },
            ...(renamed ? [releaseName(orgId, projectId, previousNameKey, id)] : []),
            ...(renamed
              ? [{ put: environmentItems(orgId, environment).claim, when: missing, else: () => 'name_taken' as const }]
              : []),
          ],
        });
      }),

    setVariables: ({ environment, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const { projectId, id, version, updatedAt } = environment;
        const head = environmentKey(orgId, projectId, id);
        const variables = encodeVariables(environment.variables);
        return write<'not_found' | 'stale'>(table, change, {
          owners: [head],
          steps: [
            {
              update: head,
              changes: {
                set: {
                  version: integer(version),
                  textVersion: integer(version),
                  variableCount: integer(environment.variables.length),
                  variableBytes: integer(utf8Length(variables)),
                  updatedAt: time(updatedAt),
                },
              },
              when: all(exists, equal('version', integer(expectedVersion))),
              else: changed,
            },
            { put: textsItem(orgId, environment, variables) },
          ],
        });
      }),

    makeDefault: ({ ref, change }) =>
      table.answer('write', () => {
        const project = projectKey(change.orgId, ref.projectId);
        return write<'not_found'>(table, change, {
          owners: [project],
          steps: [
            {
              update: project,
              changes: { set: { default: text(ref.id) } },
              when: projectIsThere,
              else: () => 'not_found',
            },
            { check: environmentKey(change.orgId, ref.projectId, ref.id), when: exists, else: () => 'not_found' },
          ],
        });
      }),

    deleteFacts: (orgId, ref, promote, keyId) =>
      table.answer('read', async () => {
        if (promote !== undefined) {
          const wanted = environmentKey(orgId, ref.projectId, promote);
          const { environments, key, found } = await load(orgId, [ref], keyId, [wanted]);
          const other = promote !== ref.id && found.of(wanted) !== null;
          return { environment: environments[0]!, heir: other ? promote : null, key };
        }
        const [{ environments, key }, summaries] = await Promise.all([
          load(orgId, [ref], keyId),
          summariesOf(orgId, ref.projectId),
        ]);
        const [oldest] = (summaries ?? [])
          .filter(({ id }) => id !== ref.id)
          .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || compareBytes(a.id, b.id));
        return { environment: environments[0]!, heir: oldest?.id ?? null, key };
      }),

    delete: ({ environment, promote, change }) =>
      table.answer('write', async () => {
        const { orgId } = change;
        const { projectId, id, nameKey, version, isDefault } = environment;
        const project = projectKey(orgId, projectId);
        const head = environmentKey(orgId, projectId, id);
        const refusalOfProject = (there: Item | null) => {
          if (!isThere(there)) return 'not_found';
          if ((textOf(there, 'default') === id) !== isDefault) return 'stale';
          return integerOf(there, 'environments') > 1 ? 'stale' : 'last_environment';
        };
        const refusalOfEnvironment = (there: Item | null) =>
          there === null ? 'not_found' : integerOf(there, 'version') === version ? null : 'stale';

        if (isDefault && promote === null) {
          // Nobody to hand the default to: whatever is there now, this cannot be written.
          const found = await table.get(project, head, ...keyOf(orgId, change.key?.id));
          const kept = keptUnder(found, orgId, change.key?.id);
          if (kept !== null && kept.expiresAt > change.at) return { done: false, refused: 'key_taken', record: kept };
          if (!isThere(found.of(project))) return { done: false, refused: 'not_found' };
          return { done: false, refused: refusalOfEnvironment(found.of(head)) ?? refusalOfProject(found.of(project)) };
        }

        const pointer = isDefault ? equal : unequal;
        return write<'not_found' | 'stale' | 'last_environment'>(table, change, {
          owners: [project],
          steps: [
            {
              update: project,
              changes: {
                ...(isDefault && promote !== null ? { set: { default: text(promote) } } : {}),
                add: { environments: -1 },
              },
              when: all(projectIsThere, above('environments', integer(1)), pointer('default', text(id))),
              else: refusalOfProject,
            },
            {
              remove: head,
              when: all(exists, equal('version', integer(version))),
              else: (there) => refusalOfEnvironment(there) ?? 'stale',
            },
            { remove: variablesKey(orgId, projectId, id) },
            releaseName(orgId, projectId, nameKey, id),
            ...(promote !== null
              ? [{ check: environmentKey(orgId, projectId, promote), when: exists, else: () => 'stale' as const }]
              : []),
          ],
        });
      }),
  };

  /**
   * Reads environments with their projects, and what else is asked for, in one batch. A batch is no snapshot, so an environment and its
   * texts may be of two states: then they are read again.
   */
  function load(
    orgId: string,
    refs: readonly EnvironmentRef[],
    keyId?: KeyId,
    also: readonly Key[] = [],
  ): Promise<{ environments: readonly (LoadedEnvironment | null)[]; key: KeyRecord | null; found: Found }> {
    const keys = [
      ...refs.flatMap(({ projectId, id }) => [
        projectKey(orgId, projectId),
        environmentKey(orgId, projectId, id),
        variablesKey(orgId, projectId, id),
      ]),
      ...also,
      ...keyOf(orgId, keyId),
    ];
    const distinct = [...new Map(keys.map((key) => [`${key.pk}\0${key.sk}`, key])).values()];
    return settled('the environment', async () => {
      const found = await table.get(...distinct);
      const environments: (LoadedEnvironment | null)[] = [];
      for (const { projectId, id } of refs) {
        const project = found.of(projectKey(orgId, projectId));
        const head = found.of(environmentKey(orgId, projectId, id));
        const texts = found.of(variablesKey(orgId, projectId, id));
        if (!isThere(project) || head === null) environments.push(null);
        else if (belongTogether(head, texts)) environments.push(readEnvironment(project, head, texts));
        else return null;
      }
      return { value: { environments, key: keptUnder(found, orgId, keyId), found } };
    });
  }

  /** Summaries by name; `null` when there is no such project. */
  function summariesOf(orgId: string, projectId: string): Promise<StoredSummary[] | null> {
    return settled('the list of environments', async () =>
      summarise(await table.all(rangeOf(environmentSpan(orgId, projectId)))),
    );
  }

  /** Summaries of the environments that have a variable of this key. Reads the variables of all, and keeps none of them. */
  function summariesWith(orgId: string, projectId: string, variableKey: string): Promise<StoredSummary[] | null> {
    return settled('the list of environments', async () => {
      const items: Item[] = [];
      const heads = new Map<string, Item>();
      const holders = new Map<string, boolean>();
      for await (const page of table.pages(rangeOf(variablesSpan(orgId, projectId)))) {
        for (const item of page) {
          if (isVariablesKey(textOf(item, 'sk'))) {
            // The environments come before all variables, so that its own is there by now.
            if (belongTogether(heads.get(idOf(item)), item)) holders.set(idOf(item), holds(item, variableKey));
          } else {
            items.push(item);
            if (isHead(item)) heads.set(idOf(item), item);
          }
        }
      }
      const answer = summarise(items);
      if (answer === null || answer.value === null) return answer;
      const checked = answer.value.map(async (summary) => {
        const holder = holders.get(summary.id);
        if (holder !== undefined) return holder ? summary : null;
        // Changed between two pages.
        const { environments, found } = await load(orgId, [summary]);
        if (environments[0]?.variables.some(({ key }) => key === variableKey) !== true) return null;
        const [project, head] = [projectKey(orgId, projectId), environmentKey(orgId, projectId, summary.id)];
        return readSummary(found.of(project)!, found.of(head)!);
      });
      return { value: (await Promise.all(checked)).filter((summary) => summary !== null) };
    });
  }
}

/**
 * A project's span as summaries by name, or as `null` where there is no such project. The project comes first in its span. It says how many
 * environments it has and which is the default: where they are not so, a write came in between, and the whole answer is `null`.
 */
function summarise(items: readonly Item[]): { readonly value: StoredSummary[] | null } | null {
  const [project] = items;
  if (project === undefined || textOf(project, 'sk') !== '#' || !isThere(project)) return { value: null };
  const summaries = items.filter(isHead).map((head) => readSummary(project, head));
  const whole = summaries.length === integerOf(project, 'environments') && summaries.some(({ isDefault }) => isDefault);
  return whole ? { value: summaries.sort((a, b) => compareBytes(a.nameKey, b.nameKey)) } : null;
}

const isHead = (item: Item) => isEnvironmentKey(textOf(item, 'sk'));

const rangeOf = ({ pk, from, to }: Span): Range => ({ pk, between: [from, to] });

function holds(texts: Item, variableKey: string): boolean {
  return decodeVariables(textOf(texts, 'variables')).some(({ key }) => key === variableKey);
}

const changed = (there: Item | null) => (there === null ? 'not_found' : 'stale');

/** Gives a name back. The environment's version was guarded in the same write, so the name is its own. */
function releaseName(orgId: string, projectId: string, nameKey: string, id: string) {
  return {
    remove: environmentNameKey(orgId, projectId, nameKey),
    when: equal('id', text(id)),
    else: () => 'stale' as const,
  };
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is an environment ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}

function figures(numbers: readonly number[]) {
  const total = numbers.reduce((sum, number) => sum + number, 0);
  return { total, mean: numbers.length === 0 ? 0 : total / numbers.length, largest: Math.max(0, ...numbers) };
}
