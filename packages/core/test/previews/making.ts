import type { StoredPreview } from '../../src/previews/model.ts';

export const at = new Date('2026-11-21T12:00:00.000Z');
export const first = 'a'.repeat(40);
export const second = 'b'.repeat(40);
export const third = 'c'.repeat(40);

/** A preview in its first run, but for what is said otherwise. */
export function preview(fields: Partial<StoredPreview> = {}): StoredPreview {
  return {
    id: '0190a000-0000-7000-8000-000000000001',
    appId: '0190a000-0000-7000-8000-000000000002',
    projectId: '0190a000-0000-7000-8000-000000000003',
    repoId: '0190a000-0000-7000-8000-000000000004',
    environment: 'pr-7',
    type: 'preview',
    status: 'initializing',
    branch: 'feature',
    headRepo: 'acme/shop',
    fork: false,
    approvedSha: null,
    waitingSha: null,
    pullRequest: 7,
    sha: first,
    headSha: first,
    url: null,
    tests: null,
    commentId: null,
    runtimeId: null,
    hasRuntime: false,
    generation: 1,
    run: '0190a000-0000-7000-8000-000000000005',
    reportSequence: 0,
    reportKey: null,
    pendingCommand: null,
    tries: 0,
    reason: null,
    stopCause: null,
    note: null,
    deadline: at,
    requestedAt: at,
    version: 1,
    createdAt: at,
    updatedAt: at,
    ...fields,
  };
}
