/**
 * Vivarium: environments as a library.
 *
 * @packageDocumentation
 */
export { createVivarium } from './vivarium.ts';
export type { Client, Vivarium, VivariumOptions } from './vivarium.ts';

export { err, ok, Result, ResultAsync, safeTry, unwrap } from './kernel/result.ts';
export {
  AccessDenied,
  IdempotencyMismatch,
  IllegalTransition,
  InvalidInput,
  isVivariumError,
  LimitReached,
  NotConfigured,
  NotFound,
  StaleVersion,
  StorageFailure,
  VivariumError,
} from './kernel/errors.ts';
export type { InputIssue } from './kernel/errors.ts';
export { methodErrors } from './errors.ts';
export type { ErrorByCode, ErrorCode, ErrorOf, Method } from './errors.ts';
export type { Outcome } from './operation.ts';
export type { Actor, Caller } from './kernel/actor.ts';
export type { Clock, Random } from './kernel/clock.ts';
export type { CommandOptions } from './kernel/idempotency.ts';
export type { IdSource, Versioned } from './kernel/ids.ts';
export { defaultLimits } from './kernel/limits.ts';
export type { Limits } from './kernel/limits.ts';
export type {
  CallRecord,
  Hooks,
  PipelineFailure,
  PreviewFailure,
  Telemetry,
  VariableAccess,
} from './kernel/observability.ts';
export type { Page, PageInput } from './kernel/paging.ts';
export type { Policy, PolicyQuestion, PolicyResource } from './kernel/policy.ts';
export { SecretText } from './kernel/secret-text.ts';

export { ProjectCycle, ProjectHasChildren, ProjectHasLivePreviews, ProjectNameTaken } from './projects/errors.ts';
export type { Project } from './projects/model.ts';
export type { InitialEnvironment, Projects } from './projects/service.ts';

export {
  ActionNotDefined,
  ActionRequired,
  CapacityReached,
  ChangeInProgress,
  ChangeSuperseded,
  InstanceNameTaken,
  InvalidToken,
  SecretAccessDenied,
  TypeHasInstances,
  TypeNameTaken,
  TypeNotReady,
} from './ephemeral/errors.ts';
export {
  acknowledgements,
  finalStates,
  instanceStates,
  legalChanges,
  lifecycle,
  pendingStates,
  stateChangeTypes,
} from './ephemeral/lifecycle.ts';
export type { InstanceState, StateChangeType, Transition } from './ephemeral/lifecycle.ts';
export type {
  ChangeResult,
  EnvironmentType,
  Instance,
  SecretDefinition,
  StateChange,
  StateChangeAction,
  Trigger,
  TypeState,
} from './ephemeral/model.ts';
export type { PipelineCancel, PipelineRunner, PipelineStart, PipelineStarted } from './ephemeral/pipeline-runner.ts';
export type { ActionSettings, SecretSettings, TypeSettings } from './ephemeral/rules.ts';
export type { StateChanges } from './ephemeral/changes-service.ts';
export type { Instances, StartInput } from './ephemeral/instances-service.ts';
export type { SecretBearer, Secrets } from './ephemeral/secrets-service.ts';
export type { Ephemeral } from './ephemeral/service.ts';
export type { SweptInstance } from './ephemeral/sweep.ts';
export type { EnvironmentTypes, EnvironmentTypeSummary } from './ephemeral/types-service.ts';

export { EnvironmentNameTaken, LastEnvironment } from './environments/errors.ts';
export type {
  Environment,
  EnvironmentRef,
  EnvironmentStats,
  EnvironmentSummary,
  Variable,
  VariableInput,
} from './environments/model.ts';
export type { EnvironmentDiff, VariableDifference } from './environments/rules.ts';
export type { Environments, RenderInput } from './environments/service.ts';

export { BuildNumberTaken, CatalogNameTaken, InUse } from './builds/errors.ts';
export type {
  CatalogEntries,
  CatalogKind,
  CatalogSettings,
  ImageType,
  OsVersion,
  Platform,
} from './builds/catalog-model.ts';
export type { Catalog, CatalogLists } from './builds/catalog-service.ts';
export type { BuildHistory, ImportedFailure, ImportedState } from './builds/history.ts';
export {
  buildEvents,
  buildLifecycle,
  buildStatuses,
  finalBuildStatuses,
  legalBuildEvents,
} from './builds/lifecycle.ts';
export type { BuildEvent, BuildStatus, BuildTransition } from './builds/lifecycle.ts';
export type { PackerBuild, PackerManifest } from './builds/manifest.ts';
export { builtInMilestones } from './builds/model.ts';
export type {
  AttemptStatus,
  Build,
  BuildFailure,
  BuildState,
  BuildStats,
  FailureStats,
  Milestone,
  MilestonePlan,
  StateStats,
  StatsFilter,
} from './builds/model.ts';
export type { MilestonePlans } from './builds/plans-service.ts';
export type { FailureInput, NewBuild, ResumePlan } from './builds/rules.ts';
export type { Builds, BuildWithManifest } from './builds/service.ts';
export type { BuildStates } from './builds/states-service.ts';
export type { SweptBuild } from './builds/sweep.ts';
export type { JsonObject } from './kernel/json.ts';

export { AppExists, HasLivePreviews, ManagedByPreview } from './deployments/errors.ts';
export type { Apps } from './deployments/apps-service.ts';
export type { ProjectEnvironments } from './deployments/environments-service.ts';
export {
  deployedStatuses,
  deploymentEvents,
  deploymentLifecycle,
  deploymentStatuses,
  legalDeploymentEvents,
  openDeploymentStatuses,
} from './deployments/lifecycle.ts';
export type { DeploymentEvent, DeploymentStatus, DeploymentTransition } from './deployments/lifecycle.ts';
export type {
  App,
  DeployedConfiguration,
  Deployment,
  ListedProjectEnvironment,
  ProjectEnvironment,
  ProjectEnvironmentType,
  Repo,
} from './deployments/model.ts';
export { namespaceFor } from './deployments/namespace.ts';
export type { Namespace } from './deployments/namespace.ts';
export type { Repos } from './deployments/repos-service.ts';
export type { DeploymentReport, EnvironmentSettings, NewDeployment } from './deployments/rules.ts';
export type { Deployments, SweptDeployment } from './deployments/service.ts';

export { ForkNotAllowed, InvalidSignature, ManagedElsewhere, PreviewStepFailed } from './previews/errors.ts';
export { sourceEvent } from './previews/events.ts';
export type { HandledEvent, SourceEvent } from './previews/events.ts';
export { legalPreviewCommands, previewEvents, previewLifecycle, previewStatuses } from './previews/lifecycle.ts';
export type { PreviewEvent, PreviewState, PreviewStatus, PreviewTransition } from './previews/lifecycle.ts';
export { previewCommand, previewTypes, queueMessage, runtimeReport } from './previews/model.ts';
export type {
  AppSecret,
  PendingCommand,
  Preview,
  PreviewCommand,
  PreviewType,
  QueueMessage,
  RuntimeReport,
  StopCause,
} from './previews/model.ts';
export type {
  Analytics,
  CommandQueue,
  ForkPolicy,
  PreviewComment,
  PreviewPorts,
  RepoName,
  Runtime,
  RuntimeRequest,
  SourceControl,
} from './previews/ports.ts';
export { isSignedWith, signReport } from './previews/reports.ts';
export type { SignedReport } from './previews/reports.ts';
export type { AppSecretName, AppSecrets } from './previews/secrets.ts';
export type { HandledReport, Previews } from './previews/service.ts';
export type { SweptPreview } from './previews/sweep.ts';
export type { HandledPreview, OpenPullRequest } from './previews/wishes.ts';
export type { Worked } from './previews/worker.ts';

export { KeyManagementFailure, UnsealingFailed } from './keys/errors.ts';
export type { GeneratedDataKey, KeyManagement, WrappedDataKey, WrappingContext } from './keys/key-management.ts';
export { localKeyring } from './keys/local-keyring.ts';
export type { KeyringSource } from './keys/local-keyring.ts';
export type { KeyCacheLimits } from './keys/opened-keys.ts';
export type { Keys, RotationReport } from './keys/service.ts';

export type { DeliveryReport, JournalHandler } from './journal/delivery.ts';
export type { JournalData, JournalEntry, JournalSubject, ParkedEntry } from './journal/model.ts';
export type { Journal } from './journal/service.ts';

export type { MigrationReport, Storage, StorageStatus } from './storage/port.ts';
