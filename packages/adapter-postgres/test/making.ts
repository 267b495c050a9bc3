/** Rows and changes for tests that speak to the repositories, without core's services in between. */
import { encodeVariables } from '@vivarium/core/storage';
import type {
  Change,
  EnvironmentRepository,
  JournalEntry,
  LoadedEnvironment,
  Storage,
  StoredEnvironment,
  StoredProject,
  StoredVariables,
} from '@vivarium/core/storage';
import type { ResultAsync } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';

let clock = Date.UTC(2026, 0, 1);
/** A time later than any that was given before. */
export const later = () => new Date((clock += 1_000));

export async function unwrap<T, E>(result: ResultAsync<T, E>): Promise<T> {
  const settled = await result;
  if (settled.isErr()) throw settled.error;
  return settled.value;
}

/** A change about something, with a journal entry of its own stream unless a version is said. */
export function change(orgId: string, about: Partial<JournalEntry> = {}, key: Change['key'] = null): Change {
  const id = randomUUID();
  const at = later();
  const entry: JournalEntry = {
    id,
    orgId,
    subject: { type: 'test', id },
    stream: id,
    sequence: 1,
    action: 'test.changed',
    actor: { type: 'user', id: 'ada' },
    at,
    data: {},
    ...about,
  };
  return { orgId, at, entry, key };
}

/** A key that is kept for a week. */
export function key(id: string, fingerprint = 'f', lifetimeMs = 7 * 24 * 3_600_000): NonNullable<Change['key']> {
  return { id, fingerprint, result: { id: 'made' }, expiresAt: new Date(clock + lifetimeMs) };
}

export function environment(projectId: string, name: string, variables: StoredVariables = []): StoredEnvironment {
  const at = later();
  return {
    id: randomUUID(),
    projectId,
    name,
    nameKey: name.toLowerCase(),
    description: null,
    variables,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

export function project(
  name: string,
  defaultEnvironmentId: string,
  parentProjectId: string | null = null,
): StoredProject {
  const at = later();
  return {
    id: randomUUID(),
    name,
    nameKey: name.toLowerCase(),
    description: null,
    parentProjectId,
    defaultEnvironmentId,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

/** Writes a project with environments of these names, the first being the default. */
export async function given(
  storage: Storage,
  orgId: string,
  { name = `project ${randomUUID()}`, environments = ['Development'], parent = null as string | null } = {},
): Promise<{ readonly project: StoredProject; readonly environments: readonly StoredEnvironment[] }> {
  const made = project(name, '', parent);
  const within = environments.map((one) => environment(made.id, one));
  const whole = { ...made, defaultEnvironmentId: within[0]!.id };
  const treeVersion = parent === null ? null : (await unwrap(storage.projects.lineage(orgId, parent))).treeVersion;
  const written = await unwrap(
    storage.projects.create({ project: whole, environments: within, treeVersion, change: change(orgId) }),
  );
  if (!written.done) throw new Error(`not written: ${written.refused}`);
  return { project: whole, environments: within };
}

export const refOf = ({ projectId, id }: StoredEnvironment) => ({ projectId, id });
export const loaded = (one: StoredEnvironment, isDefault: boolean): LoadedEnvironment => ({ ...one, isDefault });

/** The same environment, changed once more. */
export function changed(one: StoredEnvironment, what: Partial<StoredEnvironment>): StoredEnvironment {
  return { ...one, ...what, version: one.version + 1, updatedAt: later() };
}

export const bytesOf = (variables: StoredVariables) => Buffer.byteLength(encodeVariables(variables));

export type Deletion = Parameters<EnvironmentRepository['delete']>[0];
