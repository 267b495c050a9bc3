import { describe, expect, it } from 'vitest';

import { ManagedByPreview } from '../../src/deployments/errors.ts';
import { branchName, environmentName, fullName, provider, sha, url } from '../../src/deployments/model.ts';
import {
  checkUnmanaged,
  digestOf,
  ensured,
  newProjectEnvironment,
  newRepo,
  registerAgain,
  toProjectEnvironment,
  toRepo,
} from '../../src/deployments/rules.ts';
import { at, environment, later } from './making.ts';

describe('a repository', () => {
  const repo = newRepo({ provider: 'github', fullName: 'Acme/Shop' }, { id: 'repo', at });

  it('is compared without regard to case, and shown as it was registered', () => {
    expect(repo).toMatchObject({ fullName: 'Acme/Shop', nameKey: 'acme/shop', defaultBranch: 'main', version: 1 });
    expect(toRepo(repo)).not.toHaveProperty('nameKey');
  });

  it('that is registered again is changed by what is new, and by nothing else', () => {
    expect(registerAgain(repo, { fullName: 'Acme/Shop' }, later)).toBe(null);
    expect(registerAgain(repo, { fullName: 'Acme/Shop', defaultBranch: 'main' }, later)).toBe(null);
    const renamed = registerAgain(repo, { fullName: 'ACME/shop' }, later);
    expect(renamed).toEqual({ ...repo, fullName: 'ACME/shop', version: 2, updatedAt: later });
    const moved = registerAgain(repo, { fullName: 'Acme/Shop', defaultBranch: 'trunk' }, later)!;
    expect(moved).toEqual({ ...repo, defaultBranch: 'trunk', version: 2, updatedAt: later });
    expect(registerAgain(moved, { fullName: 'Acme/Shop' }, later)).toBe(null);
  });
});

describe('a project environment', () => {
  const wanted = { projectId: 'project', repoId: 'repo', environment: 'pr-42' };

  it('takes type and pull request from its name where they are not given', () => {
    const made = (settings: object) => newProjectEnvironment({ ...wanted, ...settings }, { id: 'e', at });
    expect(made({})).toMatchObject({ type: 'preview', pullRequest: 42, branch: null });
    expect(made({ type: 'other' })).toMatchObject({ type: 'other', pullRequest: 42 });
    expect(made({ pullRequest: null })).toMatchObject({ type: 'preview', pullRequest: null });
    expect(made({ pullRequest: 7, branch: 'b' })).toMatchObject({ type: 'preview', pullRequest: 7, branch: 'b' });
    expect(made({ environment: 'production', type: undefined })).toMatchObject({ type: 'production' });
  });

  it('is left as it is where it is as wanted, and keeps what is not given', () => {
    const there = environment({ type: 'staging', branch: 'b', pullRequest: 7, deploymentSequence: 3 });
    for (const same of [{}, { type: 'staging' }, { branch: 'b' }, { pullRequest: 7, branch: undefined }] as const) {
      expect(ensured(there, same, later)).toBe(null);
    }
    const changed = { version: 2, updatedAt: later };
    expect(ensured(there, { branch: null }, later)).toEqual({ ...there, branch: null, ...changed });
    expect(ensured(there, { type: 'preview' }, later)).toEqual({ ...there, type: 'preview', ...changed });
    expect(ensured(there, { pullRequest: null }, later)).toEqual({ ...there, pullRequest: null, ...changed });
  });

  it('that an app drives is nobody else’s', () => {
    expect(checkUnmanaged(environment()).isOk()).toBe(true);
    const error = checkUnmanaged(environment({ managedBy: 'app' }))._unsafeUnwrapErr();
    expect(error).toBeInstanceOf(ManagedByPreview);
    expect(error).toMatchObject({ code: 'managed_by_preview', appId: 'app' });
    expect(toProjectEnvironment(environment())).not.toHaveProperty('activeSequence');
  });
});

describe('a digest of variables', () => {
  it('is the same for the same variables, and another for anything else', () => {
    const variables = [
      { key: 'A', value: '1' },
      { key: 'B', value: '2', description: 'd' },
    ];
    const digest = digestOf(variables);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(digestOf(structuredClone(variables))).toBe(digest);
    const others = [
      [],
      [{ key: 'A', value: '1' }],
      [variables[1]!, variables[0]!],
      [{ key: 'A', value: '12' }, variables[1]!],
      [variables[0]!, { key: 'B', value: '2' }],
    ];
    expect(new Set([digest, ...others.map(digestOf)]).size).toBe(others.length + 1);
  });
});

describe('names', () => {
  it.each([
    [provider, ['github', 'git-lab', '1', 'x'.repeat(32)], ['GitHub', 'a b', 'x'.repeat(33), '', 'github\n']],
    [
      fullName,
      ['a/b', 'A.b_c-1/d', 'group/sub/repo', Array.from({ length: 9 }, () => 'x'.repeat(100)).join('/')],
      ['a', 'a/', '/a', 'a//b', 'a/b\n', 'a/b c', 'é/b', `a/${'x'.repeat(101)}`],
    ],
    [environmentName, ['production', 'feature/login', 'a.b_c-1', 'x'.repeat(100)], ['', 'A', 'é', 'a b', 'a\n']],
    [sha, ['a'.repeat(40), '0'.repeat(64)], ['a'.repeat(39), 'A'.repeat(40), 'g'.repeat(40), `${'a'.repeat(40)}\n`]],
    [branchName, ['x', '語'.repeat(255), ' '], ['', 'x'.repeat(256), 'a\0', '\ud800']],
    [
      url,
      ['https://example.com', 'http://localhost:8080/a?b#c', 'https://example.com/é'],
      ['example.com', 'ftp://example.com', 'javascript:alert(1)', 'https://', 'https://a.b/\0', 'https://a.b/\ud800'],
    ],
  ])('are held or refused (%#)', (schema, held, wrong) => {
    expect(held.filter((text) => !schema.safeParse(text).success)).toEqual([]);
    expect(wrong.filter((text) => schema.safeParse(text).success)).toEqual([]);
  });
});
