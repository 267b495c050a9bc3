/**
 * The key of every item. A partition key begins with the org, so that nothing is ever read across orgs; what callers chose is
 * escaped, so that no id and no name can run into what follows it. Names that end a key stay as they are: there they sort by their bytes.
 *
 * Whatever else is kept in a project's partition must not sort between `#` and `#V$`: the list of environments is one Query of that span.
 */
import { laneOf } from '@vivarium/core/storage';
import type { JournalEntry, JournalSubject } from '@vivarium/core/storage';

export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/** A span of sort keys, both ends included. */
export interface Span {
  readonly pk: string;
  readonly from: string;
  readonly to: string;
}

export const projectKey = (orgId: string, projectId: string): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: '#',
});

export const environmentKey = (orgId: string, projectId: string, id: string): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: `#E#${escape(id)}`,
});

/** The variables and the description of an environment, apart from it so that lists stay small. */
export const variablesKey = (orgId: string, projectId: string, id: string): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: `#V#${escape(id)}`,
});

/** Holds an environment's name in its project. */
export const environmentNameKey = (orgId: string, projectId: string, nameKey: string): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: `N#${nameKey}`,
});

/** The project and its environments, without their variables. */
export const environmentSpan = (orgId: string, projectId: string): Span => ({
  pk: projectPartition(orgId, projectId),
  from: '#',
  to: '#E$',
});

/** The project, its environments, and then their variables. */
export const variablesSpan = (orgId: string, projectId: string): Span => ({
  ...environmentSpan(orgId, projectId),
  to: '#V$',
});

export function projectPartition(orgId: string, projectId: string): string {
  return `${escape(orgId)}#P#${escape(projectId)}`;
}

export const isEnvironmentKey = (sk: string): boolean => sk.startsWith('#E#');
export const isVariablesKey = (sk: string): boolean => sk.startsWith('#V#');

/** Holds a project's name in its org; the partition is the org's list of projects. */
export const projectNameKey = (orgId: string, nameKey: string): Key => ({ pk: projectDirectory(orgId), sk: nameKey });
export const projectDirectory = (orgId: string): string => `${escape(orgId)}#PD`;

/** A project among its siblings, by name: those below the same parent, or the roots. */
export const siblingKey = (orgId: string, parentId: string | null, nameKey: string): Key => ({
  pk: siblingDirectory(orgId, parentId),
  sk: nameKey,
});
export const siblingDirectory = (orgId: string, parentId: string | null): string =>
  `${escape(orgId)}#C#${escape(parentId ?? '')}`;

export const treeKey = (orgId: string): Key => ({ pk: `${escape(orgId)}#TREE`, sk: '#' });

/** Projects that are deleted for everybody, but whose items are still being removed. */
export const erasurePartition = (orgId: string): string => `${escape(orgId)}#X`;
export const erasureKey = (orgId: string, projectId: string): Key => ({
  pk: erasurePartition(orgId),
  sk: escape(projectId),
});

export const idempotencyPartition = (orgId: string): string => `${escape(orgId)}#K`;
export const idempotencyKey = (orgId: string, keyId: string): Key => ({
  pk: idempotencyPartition(orgId),
  sk: escape(keyId),
});

/** An entry stands in its subject's own partition, in time order; the index has the same order for the whole org. */
export const entryKey = ({ orgId, subject, at, id }: JournalEntry): Key => ({
  pk: subjectPartition(orgId, subject),
  sk: placeOf(at.toISOString(), id),
});
export const subjectPartition = (orgId: string, { type, id }: JournalSubject): string =>
  `${escape(orgId)}#J#${escape(type)}#${escape(id)}`;

/** The journal's partition in the index. */
export const auditPartition = (orgId: string): string => `${escape(orgId)}#J`;

/** A place in time: sorts by the time, then by the id. A bare time sorts before every place at that time. */
export const placeOf = (at: string, id: string): string => `${at}#${id}`;

/** What waits for delivery in an org: by lane, in a lane by stream, in a stream by sequence. */
export const queuePartition = (orgId: string): string => `${escape(orgId)}#Q`;
export const queuedKey = ({ orgId, stream, sequence, id }: JournalEntry): Key => ({
  pk: queuePartition(orgId),
  sk: `${lanePrefix(laneOf(stream))}${escape(stream)}#${String(sequence).padStart(16, '0')}#${id}`,
});
export const lanePrefix = (lane: number): string => `${String(lane).padStart(2, '0')}#`;
export const laneOfQueued = (sk: string): number => Number(sk.slice(0, 2));
/** What the keys of all entries of the same stream begin with. */
export const streamPrefix = (sk: string): string => sk.slice(0, sk.indexOf('#', 3) + 1);
/** The lowest key that is behind every key with this prefix, which ends in `#`. */
export const behind = (prefix: string): string => `${prefix.slice(0, -1)}$`;

export const leasePartition = (orgId: string): string => `${escape(orgId)}#L`;
export const leaseKey = (orgId: string, lane: number): Key => ({
  pk: leasePartition(orgId),
  sk: String(lane).padStart(2, '0'),
});

export const parkedPartition = (orgId: string): string => `${escape(orgId)}#QP`;
export const parkedKey = (entry: JournalEntry): Key => ({
  pk: parkedPartition(entry.orgId),
  sk: placeOf(entry.at.toISOString(), entry.id),
});
/** Leads from the id of a parked entry to its place. */
export const parkedIdKey = (orgId: string, entryId: string): Key => ({
  pk: `${parkedPartition(orgId)}#${escape(entryId)}`,
  sk: '#',
});

/** Belongs to no org: no org's key begins with `#`. */
export const migrationPartition = '#migrations';

function escape(part: string): string {
  return part.replace(/[#%\p{Cc}]/gu, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function unescape(part: string): string {
  return part.replace(/%([0-9a-f]{2})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
}

/** The parts that a key was made of, as callers chose them. */
export function partsOf(key: string): string[] {
  return key.split('#').map(unescape);
}
