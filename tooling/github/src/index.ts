export { appId, privateKey, startGitHub } from './github.ts';
export type { Asked, Comment, GitHub, GitHubState, OddAnswer } from './github.ts';
export { payloads, realPayloads, signedDelivery } from './deliveries.ts';
export type { Payload } from './deliveries.ts';
