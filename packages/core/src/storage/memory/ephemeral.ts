import type { LoadedType, StoredChange, StoredInstance, StoredSecret, StoredType } from '../../ephemeral/model.ts';
import { finalStates, stateChangeTypes } from '../../ephemeral/lifecycle.ts';
import type { ChangeFacts, EphemeralRepository, InstanceFacts } from '../../ephemeral/repository.ts';
import { compareBytes } from '../../kernel/text.ts';
import { forgetScope } from './data-keys.ts';
import { row } from './tables.ts';
import type { OrgTables, Session } from './tables.ts';
import { answer, keptUnder, write } from './writing.ts';

export function memoryEphemeral(session: Session): EphemeralRepository {
  const { tables } = session;
  return {
    createType: ({ type, change }) =>
      write(
        session,
        change,
        (org) => (typeNamed(org, type.nameKey) === undefined ? null : 'name_taken'),
        (org) => org.types.set(type.id, row(type)),
      ),

    getType: (orgId, id, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: loadedType(org, id), key: keptUnder(org, keyId) };
      }),

    listTypes: (orgId, { limit, after }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const behind = [...org.types.values()]
          .filter(({ state }) => state !== 'deleted')
          .filter(({ nameKey }) => after === null || compareBytes(nameKey, after) > 0)
          .sort((a, b) => compareBytes(a.nameKey, b.nameKey))
          .map(({ actions: _actions, secrets: _secrets, ...type }) => ({
            ...type,
            liveInstances: liveOf(org, type.id).length,
          }));
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    writeType: ({ type, expectedVersion, action, secret, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.types.get(type.id);
          if (there === undefined) return 'not_found';
          if (there.version !== expectedVersion) return 'stale';
          if (type.state === 'deleted') return liveOf(org, type.id).length === 0 ? null : 'has_instances';
          const holder = typeNamed(org, type.nameKey);
          return holder === undefined || holder.id === type.id ? null : 'name_taken';
        },
        (org) => {
          const there = org.types.get(type.id)!;
          org.types.set(
            type.id,
            row({
              ...type,
              actions: patched(there.actions, action, (one) => one.stateChangeType).sort(
                (a, b) => stateChangeTypes.indexOf(a.stateChangeType) - stateChangeTypes.indexOf(b.stateChangeType),
              ),
              secrets: patched(there.secrets, secret, (one) => one.name).sort((a, b) => compareBytes(a.name, b.name)),
            }),
          );
          if (type.state === 'deleted') forgetScope(org, { type: 'environment_type', id: type.id });
        },
      ),

    createInstance: ({ instance, change }) =>
      write(
        session,
        change,
        (org) => {
          const type = org.types.get(instance.typeId);
          if (type === undefined) return 'not_found';
          if (type.state !== 'ready') return 'type_not_ready';
          const live = liveOf(org, type.id);
          if (type.maxNumberOfInstances !== null && live.length >= type.maxNumberOfInstances) return 'capacity_reached';
          return live.some(({ nameKey }) => nameKey === instance.nameKey) ? 'name_taken' : null;
        },
        (org) => org.instances.set(instance.id, row(instance)),
      ),

    getInstance: (orgId, id) => answer(session, () => tables.of(orgId).instances.get(id) ?? null),

    listInstances: (orgId, { typeId, state }, { limit, after }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        if (!org.types.has(typeId)) return null;
        const behind = [...org.instances.values()]
          .filter((instance) => instance.typeId === typeId && (state === undefined || instance.state === state))
          .filter((instance) => after === null || byPosition(instance, after) > 0)
          .sort(byPosition);
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    facts: (orgId, instanceId, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const instance = org.instances.get(instanceId);
        return { found: instance === undefined ? null : factsOf(org, instance), key: keptUnder(org, keyId) };
      }),

    startChange: ({ instance, stateChange, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.instances.get(instance.id);
          if (there === undefined) return 'not_found';
          return there.version === expectedVersion && there.pendingChangeId === null ? null : 'stale';
        },
        (org) => {
          org.instances.set(instance.id, row(instance));
          org.stateChanges.set(stateChange.id, row(stateChange));
        },
      ),

    endChange: ({ instance, stateChange, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.instances.get(instance.id);
          if (there === undefined) return 'not_found';
          return there.version === expectedVersion && there.pendingChangeId === stateChange.id ? null : 'stale';
        },
        (org) => {
          replaceInstance(org, instance);
          const { acceptedAt, executionPipelineId, executionId, tokenHashes } = org.stateChanges.get(stateChange.id)!;
          org.stateChanges.set(
            stateChange.id,
            row({ ...stateChange, acceptedAt, executionPipelineId, executionId, tokenHashes }),
          );
        },
      ),

    writeInstance: ({ instance, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.instances.get(instance.id);
          if (there === undefined) return 'not_found';
          return there.version === expectedVersion ? null : 'stale';
        },
        (org) => replaceInstance(org, instance),
      ),

    removeInstance: ({ instance, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.instances.get(instance.id);
          if (there === undefined) return 'not_found';
          return there.version === instance.version ? null : 'stale';
        },
        (org) => {
          org.instances.delete(instance.id);
          for (const [id, { instanceId }] of org.stateChanges) {
            if (instanceId === instance.id) org.stateChanges.delete(id);
          }
        },
      ),

    acceptChange: (orgId, { id, acceptedAt, executionPipelineId, executionId }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const there = org.stateChanges.get(id);
        if (there?.result !== 'pending') return false;
        org.stateChanges.set(id, row({ ...there, acceptedAt, executionPipelineId, executionId }));
        return true;
      }),

    setTokens: (orgId, { id, tokenHashes, expected }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const there = org.stateChanges.get(id);
        if (there?.result !== 'pending' || there.tokenHashes.join() !== expected.join()) return false;
        org.stateChanges.set(id, row({ ...there, tokenHashes }));
        return true;
      }),

    changeFacts: (orgId, stateChangeId, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: changeFactsOf(org, stateChangeId), key: keptUnder(org, keyId) };
      }),

    listChanges: (orgId, instanceId, { limit, after }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        if (!org.instances.has(instanceId)) return null;
        const behind = [...org.stateChanges.values()]
          .filter((stateChange) => stateChange.instanceId === instanceId)
          .filter(({ sequence }) => after === null || sequence < after)
          .sort((a, b) => b.sequence - a.sequence);
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    secrets: (orgId, instanceId, names) =>
      answer(session, () =>
        secretsOf(tables.of(orgId), instanceId)
          .filter(({ name }) => names === undefined || names.includes(name))
          .sort((a, b) => compareBytes(a.name, b.name)),
      ),

    writeSecret: ({ secret, stateChangeId, change }) =>
      write(
        session,
        change,
        (org) => {
          if (org.instances.get(secret.instanceId)?.pendingChangeId !== stateChangeId) return 'not_pending';
          const there = secretsOf(org, secret.instanceId).find(({ name }) => name === secret.name);
          return (there?.sealVersion ?? 0) === secret.sealVersion - 1 ? null : 'stale';
        },
        (org) => org.secrets.set(`${secret.instanceId} ${secret.name}`, row(secret)),
      ),

    due: (orgId, { limit, after }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return [...org.instances.values()]
          .filter(({ id, state }) => !finalStates.has(state) && (after === null || compareBytes(id, after) > 0))
          .sort((a, b) => compareBytes(a.id, b.id))
          .slice(0, limit)
          .map((instance) => factsOf(org, instance));
      }),
  };
}

/** One that has ended loses its secrets; its place and its name are free, because only those that live are counted. */
function replaceInstance(org: OrgTables, instance: StoredInstance): void {
  org.instances.set(instance.id, row(instance));
  if (!finalStates.has(instance.state)) return;
  for (const { name } of secretsOf(org, instance.id)) org.secrets.delete(`${instance.id} ${name}`);
}

function typeNamed(org: OrgTables, nameKey: string): StoredType | undefined {
  return [...org.types.values()].find((type) => type.state !== 'deleted' && type.nameKey === nameKey);
}

function liveOf(org: OrgTables, typeId: string): readonly StoredInstance[] {
  return [...org.instances.values()].filter(
    (instance) => instance.typeId === typeId && !finalStates.has(instance.state),
  );
}

function loadedType(org: OrgTables, id: string): LoadedType | null {
  const type = org.types.get(id);
  return type === undefined ? null : { ...type, liveInstances: liveOf(org, id).length };
}

function factsOf(org: OrgTables, instance: StoredInstance): InstanceFacts {
  const pending = instance.pendingChangeId === null ? null : org.stateChanges.get(instance.pendingChangeId)!;
  return { instance, type: loadedType(org, instance.typeId)!, pending };
}

function changeFactsOf(org: OrgTables, id: string): ChangeFacts | null {
  const stateChange: StoredChange | undefined = org.stateChanges.get(id);
  if (stateChange === undefined) return null;
  return {
    stateChange,
    instance: org.instances.get(stateChange.instanceId)!,
    type: loadedType(org, stateChange.typeId)!,
  };
}

function secretsOf(org: OrgTables, instanceId: string): StoredSecret[] {
  return [...org.secrets.values()].filter((secret) => secret.instanceId === instanceId);
}

function patched<T>(
  items: readonly T[],
  patch: { readonly put: T } | { readonly remove: string } | undefined,
  keyOf: (item: T) => string,
): T[] {
  if (patch === undefined) return [...items];
  const key = 'put' in patch ? keyOf(patch.put) : patch.remove;
  const others = items.filter((item) => keyOf(item) !== key);
  return 'put' in patch ? [...others, patch.put] : others;
}

function byPosition(
  a: { readonly nameKey: string; readonly id: string },
  b: { readonly nameKey: string; readonly id: string },
): number {
  return compareBytes(a.nameKey, b.nameKey) || compareBytes(a.id, b.id);
}
