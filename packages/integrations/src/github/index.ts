/**
 * Previews of pull requests on GitHub: a GitHub App as the source control, and its webhooks as events.
 *
 * @packageDocumentation
 */
export { GitHubFailure } from './failure.ts';
export { githubSourceControl } from './source-control.ts';
export type { GitHubSourceControlOptions } from './source-control.ts';
export { githubWebhooks } from './webhooks.ts';
export type { GitHubWebhooksOptions, WebhookVivarium } from './webhooks.ts';
