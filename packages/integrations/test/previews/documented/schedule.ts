// schedule.ts
import { unwrap } from '@vivarium/core';
import type { OpenPullRequest } from '@vivarium/core';

import { vivarium } from './vivarium.ts';

const { previews } = vivarium.system('acme');

/** Every minute. */
export const sweep = () => unwrap(previews.sweep({ olderThanMs: 14 * 86_400_000 }));

/** Every hour, with all the open pull requests of the repository: `GET /repos/{owner}/{repo}/pulls?state=open`. */
export const reconcile = (appId: string, openPullRequests: readonly OpenPullRequest[]) =>
  unwrap(previews.reconcile({ appId, openPullRequests }));
