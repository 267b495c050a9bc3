import { describe, expect, it } from 'vitest';

import { createVivarium, InvalidInput, NotConfigured, unwrap } from '../src/index.ts';
import type { CallRecord, PolicyQuestion, VariableAccess, VivariumOptions } from '../src/index.ts';
import { okAsync } from '../src/kernel/result.ts';
import { memoryStorage } from '../src/storage/memory/index.ts';

const ada = { org: 'acme', type: 'user', id: 'ada' };
const make = (options: Partial<VivariumOptions> = {}) =>
  createVivarium({ storage: memoryStorage(), ...options }).as(ada);

describe('a wrong configuration throws', () => {
  it.each([
    ['no storage', {}],
    ['a storage that is none', { storage: {} }],
    ['a misspelt option', { storage: memoryStorage(), polcy: { allows: () => true } }],
    ['a policy without allows', { storage: memoryStorage(), policy: {} }],
    ['a limit of none', { storage: memoryStorage(), limits: { environmentsPerProject: 0 } }],
    [
      'a limit that no storage can hold',
      { storage: memoryStorage(), limits: { variableBytesPerEnvironment: 1_000_000 } },
    ],
    ['null', null],
  ])('%s', (_what, options) => {
    expect(() => createVivarium(options as VivariumOptions)).toThrow(InvalidInput);
  });

  it.each([
    ['no org', { type: 'user', id: 'ada' }],
    ['an empty org', { ...ada, org: '' }],
    ['an org with a control character', { ...ada, org: 'a\nb' }],
    ['an id that is a number', { ...ada, id: 7 }],
  ])('a caller with %s', (_what, caller) => {
    expect(() => createVivarium({ storage: memoryStorage() }).as(caller as typeof ada)).toThrow(InvalidInput);
  });

  it('a transaction where the storage has none', () => {
    expect(() => make().within(undefined as never)).toThrow(NotConfigured);
  });
});

describe('the policy', () => {
  const asked: PolicyQuestion[] = [];
  const remember = make({ policy: { allows: (question) => asked.push(question) > 0 } });

  it('is asked with actor, action and resource', async () => {
    const project = await unwrap(remember.projects.create({ name: 'P' }));
    asked.length = 0;
    await remember.environments.getDefault(project.id);
    expect(asked).toEqual([
      {
        actor: { type: 'user', id: 'ada' },
        action: 'environments.getDefault',
        resource: { type: 'environment', orgId: 'acme', projectId: project.id },
      },
    ]);
  });

  it('is asked about both environments of a diff, and about a new parent', async () => {
    const [a, b] = ['1', '2'].map((n) => ({ projectId: id(n), id: id(n) })) as [Ref, Ref];
    asked.length = 0;
    await remember.environments.diff(a, b);
    await remember.projects.move(id('1'), { parentProjectId: id('2') });
    expect(asked.map(({ resource }) => resource.id)).toEqual([id('1'), id('2'), id('1'), id('2')]);
  });

  it.each([
    ['says no', () => false],
    ['says no later', async () => false],
    [
      'throws',
      () => {
        throw new Error('the policy server is down');
      },
    ],
    ['rejects', () => Promise.reject(new Error('the policy server is down'))],
    ['says something that is not true', () => 'yes' as unknown as boolean],
  ])('that %s denies, before anything is written', async (_what, allows) => {
    const storage = memoryStorage();
    const denied = await make({ storage, policy: { allows } }).projects.create({ name: 'P' });
    expect(denied._unsafeUnwrapErr()).toMatchObject({ code: 'access_denied', action: 'projects.create' });
    expect((await unwrap(make({ storage }).projects.list())).items).toEqual([]);
  });

  it('is not asked about malformed input', async () => {
    asked.length = 0;
    expect((await remember.projects.get('nonsense')).isErr()).toBe(true);
    expect(asked).toEqual([]);
  });
});

describe('hooks and telemetry', () => {
  it('tell who was given which values, by key, and nothing for what hands out none', async () => {
    const seen: VariableAccess[] = [];
    const client = make({ hooks: { onVariableAccess: (access) => void seen.push(access) } });
    const project = await unwrap(client.projects.create({ name: 'P' }));
    const { ref } = await unwrap(
      client.environments.create({ projectId: project.id, name: 'E', variables: [{ key: 'K', value: 'v' }] }),
    );
    await unwrap(client.environments.list({ projectId: project.id }));
    expect(seen).toEqual([]);

    await unwrap(client.environments.get(ref));
    await unwrap(client.environments.render(ref, '{{K}}'));
    await unwrap(client.environments.reveal(ref, { keys: ['K'] }));
    expect(seen.map(({ method, keys }) => [method, keys])).toEqual([
      ['environments.get', ['K']],
      ['environments.render', ['K']],
      ['environments.reveal', ['K']],
    ]);
    expect(JSON.stringify(seen)).not.toContain('"v"');
  });

  it('tell how every call ended', async () => {
    const calls: CallRecord[] = [];
    const client = make({ telemetry: { call: (record) => void calls.push(record) } });
    await client.projects.create({ name: 'P' });
    await client.projects.create({ name: 'p' });
    await client.projects.create({ name: '' });
    expect(calls.map(({ method, outcome }) => [method, outcome])).toEqual([
      ['projects.create', 'ok'],
      ['projects.create', 'project_name_taken'],
      ['projects.create', 'invalid_input'],
    ]);
    expect(calls.every(({ durationMs }) => durationMs >= 0)).toBe(true);
  });

  it('cannot disturb a call by throwing', async () => {
    const broken = () => {
      throw new Error('broken');
    };
    const client = make({ hooks: { onVariableAccess: broken }, telemetry: { call: broken } });
    const project = await unwrap(client.projects.create({ name: 'P' }));
    expect((await client.environments.getDefault(project.id)).isOk()).toBe(true);
  });
});

describe('a command', () => {
  it('writes nothing once the caller has aborted', async () => {
    const client = make();
    const aborted = await client.projects.create({ name: 'P', signal: AbortSignal.abort() });
    expect(aborted._unsafeUnwrapErr()).toMatchObject({ code: 'storage_failure', outcome: 'none', retryable: true });
    expect((await client.projects.getByName('P')).isErr()).toBe(true);
  });

  it('gives up with stale_version after losing the race eight times', async () => {
    const memory = memoryStorage();
    let tries = 0;
    const update: typeof memory.projects.update = () => {
      tries++;
      return okAsync({ done: false, refused: 'stale' });
    };
    const client = make({ storage: { ...memory, projects: { ...memory.projects, update } } });
    const project = await unwrap(client.projects.create({ name: 'P' }));
    const lost = await client.projects.update(project.id, { name: 'Q' });
    expect(lost._unsafeUnwrapErr()).toMatchObject({ code: 'stale_version', id: project.id });
    expect(tries).toBe(8);
  });

  it('turns a storage that throws into storage_failure', async () => {
    const memory = memoryStorage();
    const get = () => {
      throw new Error('a bug in an adapter');
    };
    const client = make({ storage: { ...memory, projects: { ...memory.projects, get } } });
    expect((await client.projects.get(id('1')))._unsafeUnwrapErr().code).toBe('storage_failure');
  });
});

interface Ref {
  readonly projectId: string;
  readonly id: string;
}

function id(n: string): string {
  return `00000000-0000-7000-8000-${n.padStart(12, '0')}`;
}
