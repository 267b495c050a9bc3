/** What happens at a source control, whichever it is. `@vivarium/integrations/github` turns verified webhooks into these. */
import * as z from 'zod';

import { branchName, fullName, provider, pullRequest, sha } from '../deployments/model.ts';

const delivery = {
  /** The provider's own id of the delivery: what comes twice counts once. */
  deliveryId: z.string().min(1).max(255),
  provider,
  repo: fullName,
};

/** An event of a source control. */
export const sourceEvent = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.enum(['pull_request_opened', 'pull_request_reopened', 'pull_request_synchronized']),
    ...delivery,
    pullRequest,
    branch: branchName,
    headRepo: fullName,
    sha,
  }),
  z.strictObject({ type: z.literal('pull_request_closed'), ...delivery, pullRequest }),
  z.strictObject({
    type: z.literal('branch_pushed'),
    ...delivery,
    branch: branchName,
    sha,
    /** Whether it is the default branch: production follows it. */
    isDefault: z.boolean(),
  }),
]);

/** An event of a source control. */
export type SourceEvent = z.infer<typeof sourceEvent>;

/** What became of an event: for each app of the repository in this org, what was asked for. */
export interface HandledEvent {
  /** Whether this delivery has been here before: then nothing else was done. */
  readonly duplicate: boolean;
  readonly previews: readonly {
    readonly appId: string;
    readonly projectEnvironmentId: string | null;
    readonly asked: 'create' | 'stop';
    /** `done`, or the code of an error. */
    readonly outcome: string;
  }[];
}
