/**
 * Previews of pull requests on GitHub: a GitHub App as the source control, and its webhooks as events.
 *
 * @packageDocumentation
 */
export type { GitHubEvent } from './events.ts';
export { GitHubFailure } from './failure.ts';
export { githubSourceControl } from './source-control.ts';
export type { GitHubSourceControl, GitHubSourceControlOptions, RepositoryName } from './source-control.ts';
export { githubWebhooks } from './webhooks.ts';
export type { GitHubWebhooksOptions, WebhookVivarium } from './webhooks.ts';
