import { SecretText } from '@vivarium/core';

import type { RuntimeCreation, RuntimeRemoval } from '../../src/runtime-http/index.ts';

export const secret = 'canary-0-the-secret-that-signs-requests';
export const canaries = ['canary-1-token', 'canary-2-password', 'canary-3-report-key', secret];

export const creation: RuntimeCreation = {
  key: 'p1-3',
  orgId: 'acme',
  preview: {
    id: 'p1',
    appId: 'a1',
    environment: 'pr-7',
    branch: 'feature/a',
    headRepo: 'eve/shop',
    fork: true,
    pullRequest: 7,
    generation: 3,
  },
  repo: { provider: 'github', fullName: 'acme/shop' },
  entrypoint: 'main.w',
  type: 'preview',
  sha: 'c'.repeat(40),
  token: new SecretText(canaries[0]!),
  secrets: { PASSWORD: new SecretText(canaries[1]!) },
  reportKey: new SecretText(canaries[2]!),
};

export const removal: RuntimeRemoval = { orgId: 'acme', keys: ['p1-2', 'p1-3'], runtimeId: 'r-9' };
