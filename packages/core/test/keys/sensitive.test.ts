import { describe, expect, it } from 'vitest';

import { createVivarium, localKeyring, unwrap } from '../../src/index.ts';
import type { KeyManagement, PolicyQuestion, VivariumOptions } from '../../src/index.ts';
import { memoryStorage } from '../../src/storage/memory/index.ts';
import { MemoryTables } from '../../src/storage/memory/tables.ts';

const ringText = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`;

function world(options: Partial<VivariumOptions> & { readonly ring?: string } = {}) {
  const { ring = ringText('one', 1), ...rest } = options;
  const calls = { generate: 0, unwrap: 0, rewrap: 0 };
  const counted = (keys: KeyManagement): KeyManagement => ({
    generateDataKey: (request) => (calls.generate++, keys.generateDataKey(request)),
    unwrapDataKey: (wrapped) => (calls.unwrap++, keys.unwrapDataKey(wrapped)),
    rewrapDataKey: (wrapped) => (calls.rewrap++, keys.rewrapDataKey(wrapped)),
  });
  const tables = new MemoryTables();
  let now = Date.parse('2026-01-01T00:00:00Z');
  const clock = { now: () => new Date(now) };
  const client = (more: Partial<VivariumOptions> = {}) =>
    createVivarium({
      storage: memoryStorage({ tables }),
      keys: counted(localKeyring({ keys: ring })),
      clock,
      ...rest,
      ...more,
    }).as({ org: 'acme', type: 'user', id: 'ada' });
  return { ada: client(), client, calls, tables, wait: (ms: number) => (now += ms), counted };
}

const secrets = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ key: `SECRET_${n}`, value: `value ${n}`, sensitive: true }));

async function withSecrets(from: ReturnType<typeof world>, count = 1) {
  const project = await unwrap(from.ada.projects.create({ name: 'P' }));
  const environment = await unwrap(
    from.ada.environments.create({ projectId: project.id, name: 'E', variables: secrets(count) }),
  );
  return { project, environment, ref: environment.ref };
}

const opened = async (client: ReturnType<typeof world>['ada'], ref: { projectId: string; id: string }) =>
  (await unwrap(client.environments.reveal(ref, { keys: ['SECRET_0'] }))).get('SECRET_0')!.reveal();

describe('what it costs', () => {
  it('opening 100 values cold is exactly 1 call of the key management, warm none', async () => {
    const one = world();
    const { ref } = await withSecrets(one, 100);
    const cold = one.client();
    one.calls.unwrap = 0;
    expect((await unwrap(cold.environments.resolve(ref))).size).toBe(100);
    expect(one.calls.unwrap).toBe(1);
    await unwrap(cold.environments.resolve(ref));
    expect(one.calls.unwrap).toBe(1);
  });

  it('50 cold calls at once are 1 call, too', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const cold = one.client();
    one.calls.unwrap = 0;
    const all = await Promise.all(Array.from({ length: 50 }, () => opened(cold, ref)));
    expect(new Set(all)).toEqual(new Set(['value 0']));
    expect(one.calls.unwrap).toBe(1);
  });

  it('one data key is made for a project, also by 20 first writers at once', async () => {
    const one = world();
    const project = await unwrap(one.ada.projects.create({ name: 'P' }));
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        one.ada.environments.create({ projectId: project.id, name: `E ${n}`, variables: secrets(1) }),
      ),
    );
    for (const created of all) expect(await opened(one.client(), unwrap(created).ref)).toBe('value 0');
    expect(one.tables.of('acme').dataKeys.size).toBe(1);
  });

  it.each([
    ['age', { maxAgeMs: 1_000 }, 1_001, 1],
    ['uses', { maxUses: 3 }, 0, 3],
    ['bytes', { maxBytes: 20 }, 0, 3],
  ])('an opened key is kept no longer than its %s allows', async (_bound, keyCache, pauseMs, reads) => {
    const one = world();
    const { ref } = await withSecrets(one);
    const reader = one.client({ keyCache });
    one.calls.unwrap = 0;
    for (let n = 0; n < reads; n++) await opened(reader, ref);
    expect(one.calls.unwrap).toBe(1);
    one.wait(pauseMs);
    await opened(reader, ref);
    expect(one.calls.unwrap).toBe(2);
  });
});

describe('what is shown', () => {
  it('reading shows that there is a value; keep leaves it; a patch without `sensitive` seals the new one', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const read = await unwrap(one.ada.environments.get(ref));
    expect(read.variables).toEqual([{ key: 'SECRET_0', sensitive: true, hasValue: true }]);

    const kept = { key: 'SECRET_0', sensitive: true, keep: true, description: 'kept' } as const;
    await unwrap(one.ada.environments.setVariables(ref, { variables: [kept, { key: 'PLAIN', value: 'x' }] }));
    expect(await opened(one.ada, ref)).toBe('value 0');

    const patched = await unwrap(
      one.ada.environments.patchVariables(ref, { set: [{ key: 'SECRET_0', value: 'newer' }] }),
    );
    expect(patched.variables[0]).toMatchObject({ key: 'SECRET_0', sensitive: true, hasValue: true });
    expect(await opened(one.ada, ref)).toBe('newer');
    expect(JSON.stringify([...one.tables.of('acme').environments.values()])).not.toMatch(/newer|value 0/);
  });

  it('says so where it has nothing to keep', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const refused = await one.ada.environments.setVariables(ref, {
      variables: [{ key: 'OTHER', sensitive: true, keep: true }],
    });
    expect(refused._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path: 'variables[0].keep' }],
    });
  });

  it('rendering says whether something secret is in the text, through references', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    await unwrap(
      one.ada.environments.patchVariables(ref, {
        set: [
          { key: 'URL', value: 'https://x/?k={{SECRET_0}}' },
          { key: 'PLAIN', value: 'x' },
        ],
      }),
    );
    expect(await unwrap(one.ada.environments.render(ref, '{{URL}}'))).toMatchObject({ secret: true });
    expect(await unwrap(one.ada.environments.render(ref, '{{PLAIN}}'))).toMatchObject({ secret: false });
  });

  it('a copy is sealed anew, a difference between sealed values is unknown', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const copy = await unwrap(one.ada.environments.duplicate(ref, { name: 'Copy' }));
    expect(await opened(one.ada, copy.ref)).toBe('value 0');
    const diff = await unwrap(one.ada.environments.diff(ref, copy.ref));
    expect(diff.differences).toMatchObject([{ key: 'SECRET_0', change: 'unknown' }]);
  });
});

describe('who may open', () => {
  it.each(['reveal', 'resolve', 'render'] as const)(
    '%s asks the policy for environments.reveal and is journalled',
    async (how) => {
      const one = world();
      const { ref } = await withSecrets(one);
      const asked: PolicyQuestion[] = [];
      const call = (client: typeof one.ada) =>
        how === 'reveal'
          ? client.environments.reveal(ref, { keys: ['SECRET_0'] })
          : how === 'resolve'
            ? client.environments.resolve(ref)
            : client.environments.render(ref, '{{SECRET_0}}');
      const entries = async () => (await unwrap(one.ada.journal.list({ action: 'environment.revealed' }))).items;

      const denied = await call(
        one.client({
          policy: { allows: (question) => (asked.push(question), question.action !== 'environments.reveal') },
        }),
      );
      expect(denied._unsafeUnwrapErr()).toMatchObject({ code: 'access_denied', action: 'environments.reveal' });
      expect(asked.at(-1)).toMatchObject({ action: 'environments.reveal', resource: { id: ref.id } });
      expect(await entries()).toEqual([]);

      expect((await call(one.ada)).isOk()).toBe(true);
      expect(await entries()).toMatchObject([{ subject: { id: ref.id }, data: { keys: ['SECRET_0'], count: 1 } }]);
    },
  );

  it('without keys nothing is sealed and nothing opens', async () => {
    const one = world();
    const { project, ref } = await withSecrets(one);
    const keyless = createVivarium({ storage: memoryStorage({ tables: one.tables }) }).as({
      org: 'acme',
      type: 'user',
      id: 'ada',
    });
    const create = await keyless.environments.create({ projectId: project.id, name: 'F', variables: secrets(1) });
    expect(create._unsafeUnwrapErr().code).toBe('not_configured');
    expect((await keyless.environments.resolve(ref))._unsafeUnwrapErr().code).toBe('not_configured');
  });
});

describe('a sealed value does not open', () => {
  it.each([
    ['in another environment', (row: Row) => row],
    ['under another name', (row: Row) => ({ ...row, key: 'SECRET_1' })],
    ['at another seal version', (row: Row) => ({ ...row, sealVersion: row.sealVersion + 1 })],
  ])('%s', async (where, moved) => {
    const one = world();
    const { project, ref } = await withSecrets(one);
    const other = await unwrap(one.ada.environments.create({ projectId: project.id, name: 'Other' }));
    const { environments } = one.tables.of('acme');
    const [stolen] = JSON.parse(environments.get(ref.id)!.variables) as [Row];
    const target = where === 'in another environment' ? other.id : ref.id;
    environments.set(target, { ...environments.get(target)!, variables: JSON.stringify([moved(stolen)]) });

    const key = moved(stolen).key;
    const refused = await one.ada.environments.reveal({ projectId: project.id, id: target }, { keys: [key] });
    expect(refused._unsafeUnwrapErr()).toMatchObject({ code: 'unsealing_failed', variable: key });
  });

  it('when an older value of the row is put back in place of a newer one', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const { environments } = one.tables.of('acme');
    const [older] = JSON.parse(environments.get(ref.id)!.variables) as [Row];
    await unwrap(one.ada.environments.patchVariables(ref, { set: [{ key: 'SECRET_0', value: 'newer' }] }));
    const [newer] = JSON.parse(environments.get(ref.id)!.variables) as [Row];
    const replayed = [{ ...newer, sealed: older.sealed }];
    environments.set(ref.id, { ...environments.get(ref.id)!, variables: JSON.stringify(replayed) });
    expect((await one.ada.environments.resolve(ref))._unsafeUnwrapErr().code).toBe('unsealing_failed');
  });

  it('when the row of its data key holds another key', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const { dataKeys } = one.tables.of('acme');
    const [row] = dataKeys.values();
    const other = await localKeyring({ keys: ringText('one', 1) }).generateDataKey({
      context: {
        'vivarium:org': 'acme',
        'vivarium:scope': `project:${row!.scope.id}`,
        'vivarium:key': row!.id,
      },
    });
    dataKeys.set(row!.id, { ...row!, wrapped: Buffer.from(other.wrapped).toString('base64url') });
    expect((await one.client().environments.resolve(ref))._unsafeUnwrapErr().code).toBe('unsealing_failed');
  });

  interface Row {
    readonly key: string;
    readonly sealed: string;
    readonly sealVersion: number;
  }
});

describe('the key management', () => {
  it('that fails is a key_management_failure, without a word of what it said', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const failing = (error: Error): KeyManagement => ({
      generateDataKey: () => Promise.reject(error),
      unwrapDataKey: () => Promise.reject(error),
      rewrapDataKey: () => Promise.reject(error),
    });
    const hint = Object.assign(new Error('plaintext was hunter2'), { retryable: true });
    const failed = (await one.client({ keys: failing(hint) }).environments.resolve(ref))._unsafeUnwrapErr();
    expect(failed).toMatchObject({ code: 'key_management_failure', retryable: true });
    expect(JSON.stringify(failed) + String(failed.stack) + JSON.stringify(failed.cause)).not.toContain('hunter2');
  });

  it('rotates: rewrapping opens nothing, and then the old wrapping key can go', async () => {
    const one = world();
    const { ref } = await withSecrets(one);
    const both = one.client({
      keys: one.counted(localKeyring({ keys: `${ringText('two', 2)} ${ringText('one', 1)}` })),
    });
    one.calls.unwrap = 0;
    expect(await unwrap(both.keys.rewrap())).toEqual({ rewrapped: 1 });
    expect(await unwrap(both.keys.rewrap())).toEqual({ rewrapped: 0 });
    expect(one.calls.unwrap).toBe(0);
    expect(await opened(one.client({ keys: localKeyring({ keys: ringText('two', 2) }) }), ref)).toBe('value 0');
  });
});

describe('rotating a data key', () => {
  it('seals everything anew while reads go on, and forgets the old key no sooner than an hour later', async () => {
    const one = world();
    const { project, ref } = await withSecrets(one, 3);
    await unwrap(one.ada.environments.create({ projectId: project.id, name: 'F', variables: secrets(2) }));
    const reading = Array.from({ length: 30 }, () => opened(one.client(), ref));
    const first = await unwrap(one.ada.keys.rotate({ projectId: project.id }));
    expect(first).toMatchObject({ generation: 2, resealed: 2, done: false });
    expect(new Set(await Promise.all(reading))).toEqual(new Set(['value 0']));
    expect(one.tables.of('acme').dataKeys.size).toBe(2);

    one.wait(3_599_999);
    expect(await unwrap(one.ada.keys.rotate({ projectId: project.id }))).toMatchObject({ done: false, resealed: 0 });
    one.wait(1);
    expect(await unwrap(one.ada.keys.rotate({ projectId: project.id }))).toMatchObject({ done: true, generation: 2 });
    expect(one.tables.of('acme').dataKeys.size).toBe(1);
    expect(await opened(one.client(), ref)).toBe('value 0');
  });

  it('two rotations at once are one', async () => {
    const one = world();
    const { project } = await withSecrets(one);
    const rotations = await Promise.all([1, 2, 3].map(() => one.client().keys.rotate({ projectId: project.id })));
    expect(new Set(rotations.map((result) => unwrap(result).generation))).toEqual(new Set([2]));
    expect(one.tables.of('acme').dataKeys.size).toBe(2);
  });
});

it('a data key is never made for a project that is not there, and goes with the one that it is for', async () => {
  const one = world();
  const nobody = '01936f5e-0000-7000-8000-00000000dead';
  const lost = await one.ada.environments.create({ projectId: nobody, name: 'E', variables: secrets(1) });
  expect(lost._unsafeUnwrapErr().code).toBe('not_found');
  const { project } = await withSecrets(one);
  const taken = await one.ada.projects.create({ name: 'p', environments: [{ name: 'D', variables: secrets(1) }] });
  expect(taken._unsafeUnwrapErr().code).toBe('project_name_taken');
  expect(one.tables.of('acme').dataKeys.size).toBe(1);
  await unwrap(one.ada.projects.delete(project.id));
  expect(one.tables.of('acme').dataKeys.size).toBe(0);
});
