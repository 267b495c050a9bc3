/**
 * Runs previews over HTTP: requests to a runtime service on one side, its reports on the other.
 *
 * @packageDocumentation
 */
export type { RequestFailed } from '../http/request-failed.ts';
export { UnverifiedRequest } from '../pipeline-http/signature.ts';
export { RuntimeRequestFailed } from './failure.ts';
export { httpRuntime } from './http-runtime.ts';
export type { HttpRuntimeOptions } from './http-runtime.ts';
export { reportHandler, signedReport } from './reports.ts';
export type { ReportedVivarium, ReportHandlerOptions } from './reports.ts';
export type { RuntimeCreateRequest, RuntimeRemoveRequest, RuntimeServiceRequest } from './request.ts';
export { verifyRuntimeRequest } from './verify.ts';
export type { RuntimeRequestToVerify, VerifiedRuntimeRequest } from './verify.ts';
