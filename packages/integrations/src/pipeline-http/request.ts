import type { PipelineCancel, PipelineStart } from '@vivarium/core';

/** The change that a pipeline is to carry out, as it travels. Times are ISO 8601. */
export interface RequestedChange {
  readonly id: string;
  readonly type: string;
  /** The how manieth change of its instance it is. */
  readonly sequence: number;
  readonly prevState: string;
  readonly trigger: { readonly type: string; readonly id: string };
  readonly startedAt: string;
  /** A change that is not completed by then has failed. */
  readonly deadline: string;
}

/** The instance that the change is for. */
export interface RequestedInstance {
  readonly id: string;
  readonly typeId: string;
  readonly name: string;
  readonly state: string;
  readonly expiresAt: string | null;
}

/** Which pipeline to run. */
export interface RequestedAction {
  readonly id: string;
  readonly stateChangeType: string;
  readonly projectId: string | null;
  readonly branch: string | null;
  readonly pipelineYamlName: string;
}

/** What every request says. The version grows when a receiver could misunderstand the request. */
interface RequestedBase {
  readonly version: 1;
  readonly org: string;
  readonly stateChange: RequestedChange;
  readonly instance: RequestedInstance;
  readonly action: RequestedAction;
}

/** The body of a request to start a pipeline. */
export interface PipelineStartRequest extends RequestedBase {
  readonly type: 'start';
  readonly parameters: Readonly<Record<string, string>>;
  /** Completes the change and opens its secrets, until the change ends. To be kept as a secret of the pipeline. */
  readonly token: string;
  /** Where the pipeline says that it is done; `null` where the host has not said. */
  readonly completionUrl: string | null;
}

/** The body of a request to stop what was started. */
export interface PipelineCancelRequest extends RequestedBase {
  readonly type: 'cancel';
  /** What the answer to the start said, if it is known. */
  readonly executionPipelineId: string | null;
  readonly executionId: string | null;
}

/** The body of a request: `type` says which. */
export type PipelineRequest = PipelineStartRequest | PipelineCancelRequest;

export function startRequest(start: PipelineStart, completionUrl: string | null): PipelineStartRequest {
  return { ...base(start), type: 'start', parameters: start.parameters, token: start.token, completionUrl };
}

export function cancelRequest(cancel: PipelineCancel): PipelineCancelRequest {
  const { executionPipelineId, executionId } = cancel.stateChange;
  return { ...base(cancel), type: 'cancel', executionPipelineId, executionId };
}

/**
 * The same for every try of the same request, also for those after a restart of the host: a receiver that has seen it does nothing and answers as
 * before. (A later try of a start may bring another token. All of them hold.)
 */
export function idempotencyKeyOf({ type, stateChange }: Pick<PipelineRequest, 'type' | 'stateChange'>): string {
  return type === 'start' ? stateChange.id : `${stateChange.id}:cancel`;
}

/** Names each field, so that nothing travels that was added to an entity for other purposes. */
function base({ orgId, stateChange, instance, action }: PipelineCancel): RequestedBase {
  return {
    version: 1,
    org: orgId,
    stateChange: {
      id: stateChange.id,
      type: stateChange.type,
      sequence: stateChange.sequence,
      prevState: stateChange.prevState,
      trigger: { type: stateChange.trigger.type, id: stateChange.trigger.id },
      startedAt: stateChange.startedAt.toISOString(),
      deadline: stateChange.deadline.toISOString(),
    },
    instance: {
      id: instance.id,
      typeId: instance.typeId,
      name: instance.name,
      state: instance.state,
      expiresAt: instance.expiresAt?.toISOString() ?? null,
    },
    action: {
      id: action.id,
      stateChangeType: action.stateChangeType,
      projectId: action.projectId,
      branch: action.branch,
      pipelineYamlName: action.pipelineYamlName,
    },
  };
}
