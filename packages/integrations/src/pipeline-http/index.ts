/**
 * Runs the pipelines of ephemeral environments over HTTP: requests to a CI system on one side, its completions on the other.
 *
 * @packageDocumentation
 */
export { completionHandler } from './completion-handler.ts';
export type { CompletingVivarium, Completion, CompletionHandlerOptions } from './completion-handler.ts';
export type { RequestFailed } from '../http/request-failed.ts';
export { PipelineRequestFailed } from './failure.ts';
export { httpPipelines } from './http-pipelines.ts';
export type { HttpPipelinesOptions } from './http-pipelines.ts';
export type {
  PipelineCancelRequest,
  PipelineRequest,
  PipelineStartRequest,
  RequestedAction,
  RequestedChange,
  RequestedInstance,
} from './request.ts';
export { UnverifiedRequest, verifyPipelineRequest } from './signature.ts';
export type { PipelineRequestToVerify, VerifiedPipelineRequest } from './signature.ts';
