/**
 * The key of every item. A partition key begins with the org, so that nothing is ever read across orgs; what callers chose is
 * escaped, so that no id and no name can run into what follows it. Names that end a key stay as they are: there they sort by their bytes.
 *
 * Whatever else is kept in a project's partition must not sort between `#` and `#V$`: the list of environments is one Query of that span.
 */
import { laneOf } from '@vivarium/core/storage';
import type {
  CatalogKind,
  InstancePosition,
  JournalEntry,
  JournalSubject,
  KeyScope,
  NamedPosition,
  NewestPosition,
  PreviewStep,
  PreviewType,
  StoredProjectEnvironment,
} from '@vivarium/core/storage';

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

/** Projects that are deleted for everybody, but whose items are still being removed; and histories of builds that are not there yet. */
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

/** A type of ephemeral environments; its partition also has the places of its instances, and its data keys. */
export const typeKey = (orgId: string, typeId: string): Key => ({ pk: typePartition(orgId, typeId), sk: '#' });
/** The actions and the secret definitions of a type, apart from it because its count of live instances changes often. */
export const typePartsKey = (orgId: string, typeId: string): Key => ({ pk: typePartition(orgId, typeId), sk: '#P' });
const typePartition = (orgId: string, typeId: string): string => `${escape(orgId)}#T#${escape(typeId)}`;

/** Holds a type's name in its org; the partition is the org's list of types. */
export const typeNameKey = (orgId: string, nameKey: string): Key => ({ pk: typeDirectory(orgId), sk: nameKey });
export const typeDirectory = (orgId: string): string => `${escape(orgId)}#TD`;

/** Holds a live instance's name in its type. */
export const memberKey = (orgId: string, typeId: string, nameKey: string): Key => ({
  pk: typePartition(orgId, typeId),
  sk: `M#${nameKey}`,
});
/** The place of an instance that has ended: by name, then id. No name has a control character. */
export const endedKey = (orgId: string, typeId: string, nameKey: string, id: string): Key => ({
  pk: typePartition(orgId, typeId),
  sk: `E#${nameKey}\u0001${escape(id)}`,
});
export const memberSpan = (orgId: string, typeId: string, from: InstancePosition | null): Span => ({
  pk: typePartition(orgId, typeId),
  from: `M#${from?.nameKey ?? ''}`,
  to: 'M$',
});
export const endedSpan = (orgId: string, typeId: string, from: InstancePosition | null): Span => ({
  ...(from === null
    ? { pk: typePartition(orgId, typeId), from: 'E#' }
    : fromKey(endedKey(orgId, typeId, from.nameKey, from.id))),
  to: 'E$',
});
const fromKey = ({ pk, sk }: Key) => ({ pk, from: sk });

/** The name in the key of a member, live or ended. */
export const nameKeyOfMember = (sk: string): string =>
  sk.startsWith('M#') ? sk.slice(2) : sk.slice(2, sk.lastIndexOf('\u0001'));

export const instanceKey = (orgId: string, id: string): Key => ({ pk: instancePartition(orgId, id), sk: '#' });
/** A change that has ended, among those of its instance: the newest first. */
export const historyKey = (orgId: string, instanceId: string, sequence: number): Key => ({
  pk: instancePartition(orgId, instanceId),
  sk: `C#${String(Number.MAX_SAFE_INTEGER - sequence).padStart(16, '0')}`,
});
export const sequenceOfHistory = (sk: string): number => Number.MAX_SAFE_INTEGER - Number(sk.slice(2));
/** The instance, and then its changes. */
export const historySpan = (orgId: string, instanceId: string): Span => ({
  pk: instancePartition(orgId, instanceId),
  from: '#',
  to: 'C$',
});
/** The key of an instance's item, and in the secrets table of its values. */
export const instancePartition = (orgId: string, id: string): string => `${escape(orgId)}#I#${escape(id)}`;

/** The org's live instances by id: what a sweep goes through. */
export const liveKey = (orgId: string, instanceId: string): Key => ({
  pk: livePartition(orgId),
  sk: escape(instanceId),
});
export const livePartition = (orgId: string): string => `${escape(orgId)}#IL`;

export const stateChangeKey = (orgId: string, id: string): Key => ({
  pk: `${escape(orgId)}#SC#${escape(id)}`,
  sk: '#',
});

/** In the secrets table. */
export const secretKey = (orgId: string, instanceId: string, name: string): Key => ({
  pk: instancePartition(orgId, instanceId),
  sk: `S#${name}`,
});

/** Instances that are gone for everybody, but whose changes are still being removed. */
export const instanceErasureKey = (orgId: string, instanceId: string): Key => ({
  pk: instanceErasurePartition(orgId),
  sk: escape(instanceId),
});
export const instanceErasurePartition = (orgId: string): string => `${escape(orgId)}#XI`;

/** A generation of a scope's data key, with what it is the key of. */
export const dataKeyKey = (orgId: string, scope: KeyScope, generation: number): Key => ({
  pk: scopePartition(orgId, scope),
  sk: `K#${String(generation).padStart(16, '0')}`,
});
export const dataKeySpan = (orgId: string, scope: KeyScope): Span => ({
  pk: scopePartition(orgId, scope),
  from: 'K#',
  to: 'K$',
});
function scopePartition(orgId: string, { type, id }: KeyScope): string {
  if (type === 'project') return projectPartition(orgId, id);
  return type === 'environment_type' ? typePartition(orgId, id) : appPartition(orgId, id);
}
/** Leads from the id of a data key to its place; the partition is the org's list of data keys. */
export const dataKeyIdKey = (orgId: string, id: string): Key => ({ pk: dataKeyDirectory(orgId), sk: escape(id) });
export const dataKeyDirectory = (orgId: string): string => `${escape(orgId)}#KD`;

/** An entry of the catalog. */
export const catalogEntryKey = (orgId: string, kind: CatalogKind, id: string): Key => ({
  pk: catalogPartition(orgId, kind),
  sk: `E#${escape(id)}`,
});
/** Holds the name of an entry, and what lists show of it: the list of its kind, behind which nothing else stands in the partition. */
export const catalogNameKey = (orgId: string, kind: CatalogKind, nameKey: string): Key => ({
  pk: catalogPartition(orgId, kind),
  sk: `N#${nameKey}`,
});
export const catalogPartition = (orgId: string, kind: CatalogKind): string => `${escape(orgId)}#CAT#${kind}`;

/** A version of a project's plan. */
export const planKey = (orgId: string, projectId: string, version: number): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: `MP#${padded(version)}`,
});
export const planSpan = (orgId: string, projectId: string): Span => ({
  pk: projectPartition(orgId, projectId),
  from: 'MP#',
  to: 'MP$',
});

export const buildKey = (orgId: string, id: string): Key => ({ pk: buildPartition(orgId, id), sk: '#' });
/** An attempt, among those of its build: in their order. */
export const attemptKey = (orgId: string, buildId: string, sequence: number): Key => ({
  pk: buildPartition(orgId, buildId),
  sk: `H#${padded(sequence)}`,
});
/** The build, and then its attempts; those behind `after` alone where it is given. */
export const attemptSpan = (orgId: string, buildId: string, after: number | null): Span => ({
  pk: buildPartition(orgId, buildId),
  from: after === null ? '#' : attemptKey(orgId, buildId, after + 1).sk,
  to: 'H$',
});
/** What Packer wrote, apart from the build because it may be large. */
export const manifestKey = (orgId: string, buildId: string): Key => ({
  pk: buildPartition(orgId, buildId),
  sk: 'M',
});
export const buildPartition = (orgId: string, id: string): string => `${escape(orgId)}#B#${escape(id)}`;

/** Holds a build's number in its org. */
export const buildNumberKey = (orgId: string, buildNumber: string): Key => ({
  pk: `${escape(orgId)}#BN#${escape(buildNumber)}`,
  sk: '#',
});

/** A build in the list of its org: by the time when it was created. */
export const listedBuildKey = (orgId: string, build: NewestPosition): Key => ({
  pk: buildDirectory(orgId),
  sk: timePlace(build),
});
export const buildDirectory = (orgId: string): string => `${escape(orgId)}#BL`;

/** A build in the list of its project. */
export const projectBuildKey = (orgId: string, projectId: string, build: NewestPosition): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: `B#${timePlace(build)}`,
});
export const projectBuildSpan = (orgId: string, projectId: string): Span => ({
  pk: projectPartition(orgId, projectId),
  from: 'B#',
  to: 'B$',
});
export const isProjectBuildKey = (sk: string): boolean => sk.startsWith('B#');

/** The org's running builds by id: what a sweep goes through. */
export const runningBuildKey = (orgId: string, id: string): Key => ({ pk: runningPartition(orgId), sk: escape(id) });
export const runningPartition = (orgId: string): string => `${escape(orgId)}#BA`;

export const failureKey = (orgId: string, id: string): Key => ({
  pk: `${escape(orgId)}#F#${escape(id)}`,
  sk: '#',
});
/** A failure in the list of its org. */
export const listedFailureKey = (orgId: string, failure: NewestPosition): Key => ({
  pk: failureDirectory(orgId),
  sk: timePlace(failure),
});
export const failureDirectory = (orgId: string): string => `${escape(orgId)}#FL`;

/** A failure in the list of its build. Builds stand in it as in the list of builds, so that the failures of a period's builds are one span. */
export const failureOfBuildKey = (orgId: string, build: NewestPosition, failure: NewestPosition): Key => ({
  pk: failuresByBuild(orgId),
  sk: `${timePlace(build)}#${timePlace(failure)}`,
});
/** The failures of all builds from one to another. */
export const failuresOfBuilds = (orgId: string, first: NewestPosition, last: NewestPosition): Span => ({
  pk: failuresByBuild(orgId),
  from: `${timePlace(first)}#`,
  to: `${timePlace(last)}$`,
});
const failuresByBuild = (orgId: string): string => `${escape(orgId)}#BF`;

/** Times and ids of a key that ends in places, the last place at the end. */
export function positionIn(sk: string): NewestPosition {
  const [createdAt, id] = partsOf(sk).slice(-2) as [string, string];
  return { createdAt: new Date(createdAt), id };
}

/** Histories that were written before their build, which may never have come. They stand among the projects to be erased, whose keys have no `#`. */
export const importKey = (orgId: string, buildId: string): Key => ({
  pk: erasurePartition(orgId),
  sk: `B#${escape(buildId)}`,
});

export const isImportKey = (sk: string): boolean => sk.startsWith('B#');

/** A repository; its partition also has its apps and project environments. */
export const repoKey = (orgId: string, id: string): Key => ({ pk: repoPartition(orgId, id), sk: '#' });
export const repoPartition = (orgId: string, id: string): string => `${escape(orgId)}#R#${escape(id)}`;
/** Holds the name of a repository; the partition is the org's list of repositories: by provider, then name. */
export const repoNameKey = (orgId: string, provider: string, nameKey: string): Key => ({
  pk: repoDirectory(orgId),
  sk: `${escape(provider)}#${nameKey}`,
});
export const repoDirectory = (orgId: string): string => `${escape(orgId)}#RD`;

/** An app; its partition also has its data keys. */
export const appKey = (orgId: string, id: string): Key => ({ pk: appPartition(orgId, id), sk: '#' });
/** The key of an app's items, and in the secrets table of its values. */
export const appPartition = (orgId: string, id: string): string => `${escape(orgId)}#A#${escape(id)}`;
/** The one app of a project and a repository. */
export const projectAppKey = (orgId: string, projectId: string, repoId: string): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: `A#${escape(repoId)}`,
});
export const projectAppSpan = (orgId: string, projectId: string): Span => ({
  pk: projectPartition(orgId, projectId),
  ...appSpan,
});
export const repoAppKey = (orgId: string, repoId: string, projectId: string): Key => ({
  pk: repoPartition(orgId, repoId),
  sk: `A#${escape(projectId)}`,
});
export const repoAppSpan = (orgId: string, repoId: string): Span => ({ pk: repoPartition(orgId, repoId), ...appSpan });
export const placesOfApps = 'A#';
const appSpan = { from: placesOfApps, to: 'A$' };
/** An app in the list of its org: by name, then id. No name has a control character. */
export const listedAppKey = (orgId: string, { name, id }: NamedPosition): Key => ({
  pk: appDirectory(orgId),
  sk: `${name}\u0001${escape(id)}`,
});
export const appDirectory = (orgId: string): string => `${escape(orgId)}#AD`;

/** A project environment; its partition also has its deployments. */
export const projectEnvironmentKey = (orgId: string, id: string): Key => ({
  pk: projectEnvironmentPartition(orgId, id),
  sk: '#',
});
const projectEnvironmentPartition = (orgId: string, id: string): string => `${escape(orgId)}#PE#${escape(id)}`;

/** What a project environment stands under besides its id. */
export type EnvironmentPlace = Pick<StoredProjectEnvironment, 'projectId' | 'repoId' | 'environment'>;

/** A project environment in the list of its project: by name, and for a name by repository. Holds the name, too. */
export const placeInProject = (orgId: string, { projectId, repoId, environment }: EnvironmentPlace): Key => ({
  pk: projectPartition(orgId, projectId),
  sk: `${placesByName}${escape(environment)}#${escape(repoId)}`,
});
/** In the list of its repository: by name, and for a name by project. */
export const placeInRepo = (orgId: string, { projectId, repoId, environment }: EnvironmentPlace): Key => ({
  pk: repoPartition(orgId, repoId),
  sk: `${placesByName}${escape(environment)}#${escape(projectId)}`,
});
/** Among those of its repository that track its branch: by name, then id. */
export const placeOnBranch = (
  orgId: string,
  branch: string,
  { repoId, environment, id }: EnvironmentPlace & { readonly id: string },
): Key => ({
  pk: repoPartition(orgId, repoId),
  sk: `${placesOnBranch(branch)}${escape(environment)}#${escape(id)}`,
});
/** What the keys of places begin with, up to the name of the environment. */
export const placesByName = 'PE#';
export const placesOnBranch = (branch: string): string => `BR#${escape(branch)}#`;
/** What the keys of all places with this name begin with. */
export const placesNamed = (prefix: string, environment: string): string => `${prefix}${escape(environment)}#`;

/** A deployment, among those of its environment: the newest first. */
export const deploymentKey = (orgId: string, environmentId: string, sequence: number): Key => ({
  pk: projectEnvironmentPartition(orgId, environmentId),
  sk: `D#${padded(Number.MAX_SAFE_INTEGER - sequence)}`,
});
/** The environment, and then its deployments; those before `after` alone where it is given. */
export const deploymentSpan = (orgId: string, environmentId: string, after: number | null): Span => ({
  pk: projectEnvironmentPartition(orgId, environmentId),
  from: after === null ? '#' : deploymentKey(orgId, environmentId, after - 1).sk,
  to: 'D$',
});
/** Leads from the id of a deployment to its place. */
export const deploymentIdKey = (orgId: string, id: string): Key => ({
  pk: `${escape(orgId)}#D#${escape(id)}`,
  sk: '#',
});
/** The org's deployments that have not ended, by id: what a sweep goes through. */
export const openDeploymentKey = (orgId: string, id: string): Key => ({
  pk: openDeploymentPartition(orgId),
  sk: escape(id),
});
export const openDeploymentPartition = (orgId: string): string => `${escape(orgId)}#DO`;

/** A preview, in the partition of its project environment. */
export const previewKey = (orgId: string, id: string): Key => ({
  pk: projectEnvironmentPartition(orgId, id),
  sk: 'P',
});
/** A step of a run, behind everything else of its environment. */
export const previewStepKey = (orgId: string, id: string, generation: number, step: PreviewStep['step']): Key => ({
  pk: projectEnvironmentPartition(orgId, id),
  sk: `S#${padded(generation)}#${step}`,
});
/** What is left of an environment once its records are gone: its deployments, and the steps of its preview. */
export const environmentRestSpan = (orgId: string, id: string): Span => ({
  pk: projectEnvironmentPartition(orgId, id),
  from: 'D#',
  to: 'S$',
});
export const isDeploymentKey = (sk: string): boolean => sk.startsWith('D#');

/** A preview in the list of its app. */
export const listedPreviewKey = (orgId: string, appId: string, preview: NewestPosition): Key => ({
  pk: appPartition(orgId, appId),
  sk: `PV#${timePlace(preview)}`,
});
export const listedPreviewSpan = (orgId: string, appId: string): Span => ({
  pk: appPartition(orgId, appId),
  from: 'PV#',
  to: 'PV$',
});

/** The org's previews that are neither stopped nor deleted, by id: what a sweep goes through. */
export const upPreviewKey = (orgId: string, id: string): Key => ({ pk: upPreviewPartition(orgId), sk: escape(id) });
export const upPreviewPartition = (orgId: string): string => `${escape(orgId)}#PU`;

/** Messages for workers that are not known to have been sent, by project environment. */
export const messageKey = (orgId: string, environmentId: string): Key => ({
  pk: messagePartition(orgId),
  sk: escape(environmentId),
});
export const messagePartition = (orgId: string): string => `${escape(orgId)}#PM`;

/** A delivery of a webhook that is remembered. */
export const deliveryKey = (orgId: string, deliveryId: string): Key => ({
  pk: `${escape(orgId)}#WH#${escape(deliveryId)}`,
  sk: '#',
});

/** In the secrets table. */
export const appSecretKey = (orgId: string, appId: string, type: PreviewType, name: string): Key => ({
  pk: appPartition(orgId, appId),
  sk: `${secretsOfType(type)}${name}`,
});
export const appSecretSpan = (orgId: string, appId: string, type: PreviewType): Span => ({
  pk: appPartition(orgId, appId),
  from: secretsOfType(type),
  to: behind(secretsOfType(type)),
});
const secretsOfType = (type: PreviewType): string => `S#${type}#`;

/** Apps that are gone, but whose project environments and secrets are still being removed. */
export const appErasureKey = (orgId: string, appId: string): Key => ({
  pk: erasurePartition(orgId),
  sk: `A#${escape(appId)}`,
});
export const isAppErasureKey = (sk: string): boolean => sk.startsWith('A#');

/** Repositories that are gone for everybody, but whose items are still being removed. They stand among the projects to be erased, whose keys have no `#`. */
export const repoErasureKey = (orgId: string, repoId: string): Key => ({
  pk: erasurePartition(orgId),
  sk: `R#${escape(repoId)}`,
});
export const isRepoErasureKey = (sk: string): boolean => sk.startsWith('R#');
/** Project environments that are gone, but whose deployments are still being removed. */
export const historyErasureKey = (orgId: string, environmentId: string): Key => ({
  pk: erasurePartition(orgId),
  sk: `D#${escape(environmentId)}`,
});
export const isHistoryErasureKey = (sk: string): boolean => sk.startsWith('D#');

/** Before and behind all places in time. */
export const firstPlace = '0';
export const lastPlace = ':';
const timePlace = ({ createdAt, id }: NewestPosition): string => placeOf(createdAt.toISOString(), escape(id));
const padded = (count: number): string => String(count).padStart(16, '0');

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
