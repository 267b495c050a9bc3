import type { KeyScope, StoredDataKey } from '../../keys/model.ts';
import type { DataKeyRepository } from '../../keys/repository.ts';
import { compareBytes } from '../../kernel/text.ts';
import type { OrgTables, Session } from './tables.ts';
import { row } from './tables.ts';
import { answer } from './writing.ts';

export function memoryDataKeys(session: Session): DataKeyRepository {
  const { tables } = session;
  return {
    newest: (orgId, scope) => answer(session, () => ofScope(tables.of(orgId), scope).at(-1) ?? null),

    get: (orgId, scope, id) =>
      answer(session, () => ofScope(tables.of(orgId), scope).find((key) => key.id === id) ?? null),

    add: (orgId, key) =>
      answer(session, () => {
        const org = tables.of(orgId);
        if (!hasOwner(org, key.scope)) return 'not_found';
        if (ofScope(org, key.scope).some(({ generation }) => generation === key.generation)) return 'taken';
        org.dataKeys.set(key.id, row(key));
        return 'added';
      }),

    rewrap: (orgId, key) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const there = org.dataKeys.get(key.id);
        if (there === undefined || there.version !== key.version - 1) return false;
        const { wrapped, wrappedBy, version, updatedAt } = key;
        org.dataKeys.set(key.id, row({ ...there, wrapped, wrappedBy, version, updatedAt }));
        return true;
      }),

    ofScope: (orgId, scope) => answer(session, () => ofScope(tables.of(orgId), scope)),

    list: (orgId, { limit, after }) =>
      answer(session, () => {
        const behind = [...tables.of(orgId).dataKeys.values()]
          .filter(({ id }) => after === null || compareBytes(id, after) > 0)
          .sort((a, b) => compareBytes(a.id, b.id));
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    remove: (orgId, scope, id) =>
      answer(session, () => {
        const org = tables.of(orgId);
        if (ofScope(org, scope).some((key) => key.id === id)) org.dataKeys.delete(id);
      }),
  };
}

/** Part of deleting what the keys are for. */
export function forgetScope(org: OrgTables, scope: KeyScope): void {
  for (const { id } of ofScope(org, scope)) org.dataKeys.delete(id);
}

/** What a key is for is there. */
function hasOwner(org: OrgTables, { type, id }: KeyScope): boolean {
  switch (type) {
    case 'project':
      return org.projects.has(id);
    case 'app':
      return org.apps.has(id);
    case 'environment_type': {
      const there = org.types.get(id);
      return there !== undefined && there.state !== 'deleted';
    }
  }
}

function ofScope(org: OrgTables, scope: KeyScope): readonly StoredDataKey[] {
  return [...org.dataKeys.values()]
    .filter((key) => key.scope.type === scope.type && key.scope.id === scope.id)
    .sort((a, b) => a.generation - b.generation);
}
