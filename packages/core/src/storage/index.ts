/** The ports that a storage adapter implements, and the pure pieces that adapters share. */
export type { Change, Loaded, MigrationReport, Storage, StorageStatus, Stored, Written } from './port.ts';
export type { Lineage, MoveFacts, ProjectRepository } from '../projects/repository.ts';
export type { StoredProject } from '../projects/model.ts';
export type { DeleteFacts, EnvironmentPosition, EnvironmentRepository } from '../environments/repository.ts';
export type {
  EnvironmentRef,
  EnvironmentStats,
  LoadedEnvironment,
  StoredEnvironment,
  StoredSummary,
  StoredVariable,
  StoredVariables,
} from '../environments/model.ts';
export { decodeVariables, encodeVariables } from '../environments/model.ts';
export type { ClaimedLane, JournalFilter, JournalPosition, JournalRepository, Lease } from '../journal/repository.ts';
export type { JournalData, JournalEntry, JournalSubject, ParkedEntry } from '../journal/model.ts';
export { laneCount, laneOf } from '../journal/model.ts';
export type {
  ChangeFacts,
  EphemeralRepository,
  InstanceFacts,
  InstancePosition,
  StoredTypeSummary,
} from '../ephemeral/repository.ts';
export type {
  LoadedType,
  SecretDefinition,
  StateChangeAction,
  StoredChange,
  StoredInstance,
  StoredSecret,
  StoredType,
} from '../ephemeral/model.ts';
export { finalStates, stateChangeTypes } from '../ephemeral/lifecycle.ts';
export type { InstanceState, StateChangeType } from '../ephemeral/lifecycle.ts';
export { catalogKinds } from '../builds/catalog-model.ts';
export type { CatalogKind, ImageType, OsVersion, Platform, StoredEntry } from '../builds/catalog-model.ts';
export { buildStatuses, finalBuildStatuses } from '../builds/lifecycle.ts';
export type { BuildStatus } from '../builds/lifecycle.ts';
export type {
  AttemptStatus,
  BuildFailure,
  BuildMove,
  BuildStats,
  EndedAttempt,
  FailureStats,
  Milestone,
  StateStats,
  StatsFilter,
  StoredBuild,
  StoredBuildState,
  StoredPlan,
} from '../builds/model.ts';
export { maximumFailureGroups } from '../builds/model.ts';
export type {
  BuildFilter,
  BuildReferences,
  BuildRepository,
  CatalogRepository,
  FailureFilter,
  NewestPosition,
  ResumeFacts,
  StartFacts,
} from '../builds/repository.ts';
export { buildStats, nearestRank } from '../builds/stats.ts';
export { openDeploymentStatuses } from '../deployments/lifecycle.ts';
export type { DeploymentStatus } from '../deployments/lifecycle.ts';
export type {
  App,
  DeployedConfiguration,
  Deployment,
  DeploymentMove,
  ProjectEnvironmentType,
  StoredProjectEnvironment,
  StoredRepo,
} from '../deployments/model.ts';
export type {
  AppFacts,
  DeploymentFacts,
  DeploymentRepository,
  EnsureFacts,
  NamedPosition,
  ProjectEnvironmentFilter,
  RepoPosition,
  StoredListedEnvironment,
} from '../deployments/repository.ts';
export { busyPreviewStatuses, previewStatuses } from '../previews/lifecycle.ts';
export type { PreviewStatus } from '../previews/lifecycle.ts';
export { isDue as isPreviewDue, previewSteps, previewTypes } from '../previews/model.ts';
export type {
  PendingCommand,
  PreviewStep,
  PreviewType,
  QueueMessage,
  StopCause,
  StoredPreview,
} from '../previews/model.ts';
export type {
  AskFacts,
  PreviewFacts,
  PreviewPosition,
  PreviewRepository,
  PreviewWrite,
  StoredAppSecret,
} from '../previews/repository.ts';
export type { KeyScope, StoredDataKey } from '../keys/model.ts';
export type { DataKeyRepository } from '../keys/repository.ts';
export type { PageRequest, StoredPage } from '../kernel/paging.ts';
export type { KeyId, KeyRecord, KeyResult, KeyWrite } from '../kernel/idempotency.ts';
export { checkAlternatives, checkOptions, hasMethods, may, must } from '../kernel/configuration.ts';
export type { Complaint, KnownOptions } from '../kernel/configuration.ts';
export { isVivariumError, StorageFailure } from '../kernel/errors.ts';
export { compareBytes, utf8Length } from '../kernel/text.ts';
export { maximumProjectDepth } from '../kernel/limits.ts';
export { err, errAsync, ok, okAsync, Result, ResultAsync } from '../kernel/result.ts';
