/**
 * Which errors each method can have. The result types, the reference in the docs and a test come from this one table.
 */
import type { BuildNumberTaken, CatalogNameTaken, InUse } from './builds/errors.ts';
import type { AppExists, HasLivePreviews, ManagedByPreview } from './deployments/errors.ts';
import type { EnvironmentNameTaken, LastEnvironment } from './environments/errors.ts';
import type {
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
import type {
  AccessDenied,
  IdempotencyMismatch,
  IllegalTransition,
  InvalidInput,
  LimitReached,
  NotConfigured,
  NotFound,
  StaleVersion,
  StorageFailure,
} from './kernel/errors.ts';
import type { KeyManagementFailure, UnsealingFailed } from './keys/errors.ts';
import type { ProjectCycle, ProjectHasChildren, ProjectHasLivePreviews, ProjectNameTaken } from './projects/errors.ts';
import type { ForkNotAllowed, InvalidSignature, ManagedElsewhere, PreviewStepFailed } from './previews/errors.ts';
import type {
  MissingVariable,
  OutputTooLarge,
  TemplateTooLarge,
  UnsafeValue,
  VariableCycle,
  VariablesTooLarge,
} from './templates/errors.ts';

/** The class of every code that a client's method can answer with. */
export interface ErrorByCode {
  access_denied: AccessDenied;
  action_not_defined: ActionNotDefined;
  action_required: ActionRequired;
  app_exists: AppExists;
  build_number_taken: BuildNumberTaken;
  capacity_reached: CapacityReached;
  catalog_name_taken: CatalogNameTaken;
  change_in_progress: ChangeInProgress;
  change_superseded: ChangeSuperseded;
  environment_name_taken: EnvironmentNameTaken;
  fork_not_allowed: ForkNotAllowed;
  has_live_previews: HasLivePreviews;
  idempotency_mismatch: IdempotencyMismatch;
  illegal_transition: IllegalTransition;
  in_use: InUse;
  instance_name_taken: InstanceNameTaken;
  invalid_input: InvalidInput;
  invalid_signature: InvalidSignature;
  invalid_token: InvalidToken;
  key_management_failure: KeyManagementFailure;
  last_environment: LastEnvironment;
  limit_reached: LimitReached;
  managed_by_preview: ManagedByPreview;
  managed_elsewhere: ManagedElsewhere;
  missing_variable: MissingVariable;
  not_configured: NotConfigured;
  not_found: NotFound;
  output_too_large: OutputTooLarge;
  preview_step_failed: PreviewStepFailed;
  project_cycle: ProjectCycle;
  project_has_children: ProjectHasChildren;
  project_has_live_previews: ProjectHasLivePreviews;
  project_name_taken: ProjectNameTaken;
  secret_access_denied: SecretAccessDenied;
  stale_version: StaleVersion;
  storage_failure: StorageFailure;
  template_too_large: TemplateTooLarge;
  type_has_instances: TypeHasInstances;
  type_name_taken: TypeNameTaken;
  type_not_ready: TypeNotReady;
  unsafe_value: UnsafeValue;
  unsealing_failed: UnsealingFailed;
  variable_cycle: VariableCycle;
  variables_too_large: VariablesTooLarge;
}

/** A code that a method can answer with. */
export type ErrorCode = keyof ErrorByCode;

const read = ['invalid_input', 'access_denied', 'storage_failure'] as const;
const command = [...read, 'stale_version', 'idempotency_mismatch'] as const;
const sealing = ['not_configured', 'key_management_failure', 'unsealing_failed'] as const;
const resolve = [...read, 'not_found', ...sealing, 'variable_cycle', 'variables_too_large'] as const;

const askPreview = [...command, 'not_found', 'illegal_transition'] as const;
const typeMove = [...command, 'not_found', 'illegal_transition'] as const;
const startChange = [
  ...command,
  'not_found',
  'change_in_progress',
  'illegal_transition',
  'action_not_defined',
  'not_configured',
] as const;

/** Method by method, the codes that its result can hold. */
export const methodErrors = {
  'projects.create': [
    ...command,
    'not_found',
    'project_name_taken',
    'limit_reached',
    'not_configured',
    'key_management_failure',
  ],
  'projects.get': [...read, 'not_found'],
  'projects.getByName': [...read, 'not_found'],
  'projects.list': read,
  'projects.update': [...command, 'not_found', 'project_name_taken'],
  'projects.move': [...command, 'not_found', 'project_cycle', 'limit_reached'],
  'projects.ancestors': [...read, 'not_found'],
  'projects.delete': [...command, 'not_found', 'project_has_children', 'project_has_live_previews'],

  'environments.create': [...command, 'not_found', 'environment_name_taken', 'limit_reached', ...sealing],
  'environments.get': [...read, 'not_found'],
  'environments.getByName': [...read, 'not_found'],
  'environments.getDefault': [...read, 'not_found'],
  'environments.list': [...read, 'not_found'],
  'environments.search': [...read, 'not_found'],
  'environments.update': [...command, 'not_found', 'environment_name_taken'],
  'environments.setVariables': [...command, 'not_found', ...sealing],
  'environments.patchVariables': [...command, 'not_found', 'limit_reached', ...sealing],
  'environments.makeDefault': [...command, 'not_found'],
  'environments.duplicate': [...command, 'not_found', 'environment_name_taken', 'limit_reached', ...sealing],
  'environments.diff': [...read, 'not_found'],
  'environments.delete': [...command, 'not_found', 'last_environment'],
  'environments.stats': [...read, 'not_found'],
  'environments.reveal': [...read, 'not_found', ...sealing],
  'environments.resolve': resolve,
  'environments.render': [...resolve, 'template_too_large', 'missing_variable', 'unsafe_value', 'output_too_large'],

  'ephemeral.types.create': [...command, 'type_name_taken'],
  'ephemeral.types.get': [...read, 'not_found'],
  'ephemeral.types.list': read,
  'ephemeral.types.update': [...typeMove, 'type_name_taken', 'action_not_defined'],
  'ephemeral.types.publish': [...typeMove, 'action_not_defined'],
  'ephemeral.types.cordon': typeMove,
  'ephemeral.types.uncordon': typeMove,
  'ephemeral.types.delete': [...typeMove, 'type_has_instances'],
  'ephemeral.actions.define': typeMove,
  'ephemeral.actions.list': [...read, 'not_found'],
  'ephemeral.actions.remove': [...typeMove, 'action_required'],
  'ephemeral.secretDefinitions.define': [...typeMove, 'limit_reached'],
  'ephemeral.secretDefinitions.list': [...read, 'not_found'],
  'ephemeral.secretDefinitions.remove': typeMove,
  'ephemeral.instances.create': [...command, 'not_found', 'type_not_ready', 'capacity_reached', 'instance_name_taken'],
  'ephemeral.instances.get': [...read, 'not_found'],
  'ephemeral.instances.list': [...read, 'not_found'],
  'ephemeral.instances.extend': [...command, 'not_found', 'limit_reached', 'illegal_transition'],
  'ephemeral.instances.touch': [...command, 'not_found', 'illegal_transition'],
  'ephemeral.instances.acknowledgeCleanUp': [...command, 'not_found', 'change_in_progress', 'illegal_transition'],
  'ephemeral.instances.remove': [...command, 'not_found', 'illegal_transition'],
  'ephemeral.instances.provision': startChange,
  'ephemeral.instances.deploy': startChange,
  'ephemeral.instances.cleanUp': startChange,
  'ephemeral.instances.sleep': startChange,
  'ephemeral.instances.wakeUp': startChange,
  'ephemeral.instances.deprovision': startChange,
  'ephemeral.stateChanges.get': [...read, 'not_found'],
  'ephemeral.stateChanges.list': [...read, 'not_found'],
  'ephemeral.stateChanges.cancel': [...command, 'not_found', 'change_superseded'],
  'ephemeral.stateChanges.complete': [...command, 'not_found', 'invalid_token', 'change_superseded'],
  'ephemeral.secrets.read': [...read, 'not_found', 'invalid_token', 'secret_access_denied', ...sealing],
  'ephemeral.secrets.readAll': [...read, 'not_found', 'invalid_token', ...sealing],
  'ephemeral.secrets.write': [...command, 'not_found', 'invalid_token', 'secret_access_denied', ...sealing],
  'ephemeral.sweep': read,

  'deployments.repos.register': [...command, 'not_found'],
  'deployments.repos.get': [...read, 'not_found'],
  'deployments.repos.list': read,
  'deployments.repos.delete': [...command, 'not_found', 'has_live_previews'],
  'deployments.apps.create': [...command, 'not_found', 'app_exists'],
  'deployments.apps.get': [...read, 'not_found'],
  'deployments.apps.list': read,
  'deployments.apps.update': [...command, 'not_found'],
  'deployments.apps.delete': [...command, 'not_found', 'has_live_previews'],
  'deployments.environments.ensure': [...command, 'not_found', 'managed_by_preview'],
  'deployments.environments.get': [...read, 'not_found'],
  'deployments.environments.getByName': [...read, 'not_found'],
  'deployments.environments.getByBranch': read,
  'deployments.environments.list': read,
  'deployments.environments.delete': [...command, 'not_found', 'managed_by_preview'],
  'deployments.start': [...command, 'not_found', 'managed_by_preview'],
  'deployments.report': [...command, 'not_found', 'illegal_transition', 'managed_by_preview'],
  'deployments.cancel': [...command, 'not_found', 'illegal_transition', 'managed_by_preview'],
  'deployments.get': [...read, 'not_found'],
  'deployments.latest': [...read, 'not_found'],
  'deployments.history': [...read, 'not_found'],
  'deployments.rollback': [...command, 'not_found', 'illegal_transition', 'managed_by_preview'],
  'deployments.sweep': read,

  'previews.create': [
    ...command,
    'not_found',
    'not_configured',
    'fork_not_allowed',
    'managed_elsewhere',
    'preview_step_failed',
  ],
  'previews.restart': askPreview,
  'previews.stop': askPreview,
  'previews.remove': askPreview,
  'previews.approve': askPreview,
  'previews.forget': askPreview,
  'previews.get': [...read, 'not_found'],
  'previews.list': [...read, 'not_found'],
  'previews.handle': [...read, 'preview_step_failed', ...sealing],
  'previews.report': [...read, 'invalid_signature', ...sealing],
  'previews.onEvent': [...read, 'not_configured', 'preview_step_failed', 'stale_version'],
  'previews.reconcile': [...read, 'not_found', 'not_configured', 'preview_step_failed', 'stale_version'],
  'previews.sweep': read,
  'previews.secrets.set': [...command, 'not_found', ...sealing],
  'previews.secrets.list': [...read, 'not_found'],
  'previews.secrets.remove': [...command, 'not_found'],

  'builds.catalog.platforms.create': [...command, 'catalog_name_taken'],
  'builds.catalog.platforms.get': [...read, 'not_found'],
  'builds.catalog.platforms.getByName': [...read, 'not_found'],
  'builds.catalog.platforms.list': read,
  'builds.catalog.platforms.update': [...command, 'not_found', 'catalog_name_taken'],
  'builds.catalog.platforms.delete': [...command, 'not_found', 'in_use'],
  'builds.catalog.osVersions.create': [...command, 'catalog_name_taken'],
  'builds.catalog.osVersions.get': [...read, 'not_found'],
  'builds.catalog.osVersions.getByName': [...read, 'not_found'],
  'builds.catalog.osVersions.list': read,
  'builds.catalog.osVersions.update': [...command, 'not_found', 'catalog_name_taken'],
  'builds.catalog.osVersions.delete': [...command, 'not_found', 'in_use'],
  'builds.catalog.imageTypes.create': [...command, 'catalog_name_taken'],
  'builds.catalog.imageTypes.get': [...read, 'not_found'],
  'builds.catalog.imageTypes.getByName': [...read, 'not_found'],
  'builds.catalog.imageTypes.list': read,
  'builds.catalog.imageTypes.update': [...command, 'not_found', 'catalog_name_taken'],
  'builds.catalog.imageTypes.delete': [...command, 'not_found', 'in_use'],
  'builds.milestonePlans.define': [...command, 'not_found'],
  'builds.milestonePlans.get': [...read, 'not_found'],
  'builds.start': [...command, 'not_found', 'build_number_taken'],
  'builds.import': [...command, 'not_found', 'build_number_taken'],
  'builds.cancel': [...command, 'not_found', 'illegal_transition'],
  'builds.resume': [...command, 'not_found', 'illegal_transition', 'limit_reached'],
  'builds.planResume': [...read, 'not_found'],
  'builds.heartbeat': [...read, 'not_found', 'illegal_transition'],
  'builds.states.enter': [...command, 'not_found', 'illegal_transition', 'limit_reached'],
  'builds.states.complete': [...command, 'not_found', 'illegal_transition'],
  'builds.states.fail': [...command, 'not_found', 'illegal_transition'],
  'builds.get': [...read, 'not_found'],
  'builds.getByNumber': [...read, 'not_found'],
  'builds.list': read,
  'builds.listStates': [...read, 'not_found'],
  'builds.listFailures': [...read, 'not_found'],
  'builds.resolveFailure': [...command, 'not_found', 'illegal_transition'],
  'builds.attachPackerManifest': [...command, 'not_found'],
  'builds.stats': read,
  'builds.sweep': read,

  'keys.rewrap': [...read, ...sealing],
  'keys.rotate': [...read, 'not_found', ...sealing],

  'journal.list': read,
  'journal.deliver': read,
  'journal.listParked': read,
  'journal.retryParked': [...read, 'not_found'],
  'journal.prune': read,
} as const satisfies Record<string, readonly ErrorCode[]>;

/** The name of a method, such as `environments.create`; also the action that a policy is asked about. */
export type Method = keyof typeof methodErrors;

/** Everything that a method's result can hold as an error. */
export type ErrorOf<M extends Method> = ErrorByCode[(typeof methodErrors)[M][number]];
