/** What tests hand to the repositories, without core's services in between. */
import { laneOf } from '@vivarium/core/storage';
import type { Change, KeyWrite, ResultAsync, Storage, StoredEnvironment, StoredProject } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';

export async function unwrap<T, E>(result: ResultAsync<T, E>): Promise<T> {
  const settled = await result;
  if (settled.isErr()) throw settled.error;
  return settled.value;
}

const at = new Date('2026-03-01T12:00:00.123Z');

/** A change with a journal entry that is a stream of its own. */
export function changeIn(orgId: string, key: KeyWrite | null = null): Change {
  const id = randomUUID();
  const entry = { id, orgId, subject: { type: 'test', id }, stream: id, sequence: 1, action: 'tested', at, data: {} };
  return { orgId, at, key, entry: { ...entry, actor: { type: 'user', id: 'ada' } } };
}

export function newKey(): KeyWrite {
  return { id: randomUUID(), fingerprint: 'print', result: { id: 'made' }, expiresAt: new Date('2099-01-01') };
}

export function newEnvironment(projectId: string, name: string): StoredEnvironment {
  const naming = { name, nameKey: name.toLowerCase(), description: null };
  return { id: randomUUID(), projectId, ...naming, variables: [], version: 1, createdAt: at, updatedAt: at };
}

/** The same with another value in each changing field. */
export function next<T extends StoredEnvironment | StoredProject>(one: T): T {
  return { ...one, version: one.version + 1, updatedAt: new Date(one.updatedAt.getTime() + 1) };
}

export function newProject(names: readonly string[], parentProjectId: string | null = null) {
  const id = randomUUID();
  const environments = names.map((name) => newEnvironment(id, name));
  const naming = { name: id, nameKey: id, description: null };
  const pointers = { parentProjectId, defaultEnvironmentId: environments[0]!.id };
  const project: StoredProject = { id, ...naming, ...pointers, version: 1, createdAt: at, updatedAt: at };
  return { project, environments };
}

/** Writes a project with environments of these names, the first being the default. */
export async function writeProject(storage: Storage, orgId: string, names: readonly string[]) {
  const made = newProject(names);
  const written = await unwrap(storage.projects.create({ ...made, treeVersion: null, change: changeIn(orgId) }));
  if (!written.done) throw new Error(`not written: ${written.refused}`);
  return made;
}

/** Writes a journal entry and claims the lane that delivers it. */
export async function claimLane(storage: Storage) {
  const orgId = randomUUID();
  const change = changeIn(orgId);
  await unwrap(storage.journal.append(change));
  const lease = { orgId, lane: laneOf(change.entry.stream), token: 'mine' };
  const claimed = await unwrap(
    storage.journal.claim({
      ...lease,
      now: new Date('2026-03-02'),
      leaseUntil: new Date('2026-03-03'),
      limit: 1,
      except: [],
    }),
  );
  return { lease, entry: claimed!.entries[0]!.entry };
}
