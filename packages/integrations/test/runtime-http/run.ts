import { SecretText } from '@vivarium/core';
import type { Runtime, RuntimeRequest } from '@vivarium/core';

export const secret = 'canary-0-the-secret-that-signs-requests';
export const canaries = ['canary-1-token', 'canary-2-password', 'canary-3-report-key', secret];

const at = new Date(0);

export const creation: RuntimeRequest = {
  key: 'p1-3',
  orgId: 'acme',
  preview: {
    id: 'p1',
    appId: 'a1',
    projectId: 'j1',
    repoId: 'r1',
    environment: 'pr-7',
    type: 'preview',
    status: 'initializing',
    branch: 'feature/a',
    headRepo: 'eve/shop',
    fork: true,
    approvedSha: null,
    waitingSha: null,
    pullRequest: 7,
    sha: 'c'.repeat(40),
    headSha: 'c'.repeat(40),
    url: null,
    tests: null,
    commentId: null,
    runtimeId: null,
    hasRuntime: true,
    generation: 3,
    run: 'd3',
    reportSequence: 0,
    pendingCommand: null,
    reason: null,
    stopCause: null,
    note: null,
    deadline: at,
    requestedAt: at,
    version: 9,
    createdAt: at,
    updatedAt: at,
  },
  repo: { provider: 'github', fullName: 'acme/shop' },
  entrypoint: 'main.w',
  type: 'preview',
  sha: 'c'.repeat(40),
  token: new SecretText(canaries[0]!),
  secrets: { PASSWORD: new SecretText(canaries[1]!) },
  reportKey: new SecretText(canaries[2]!),
};

export const removal: Parameters<Runtime['remove']>[0] = { orgId: 'acme', keys: ['p1-2', 'p1-3'], runtimeId: 'r-9' };
