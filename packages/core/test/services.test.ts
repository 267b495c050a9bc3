import { describe, expect, test } from 'vitest';

import { createVivarium, unwrap } from '../src/index.ts';
import type { VivariumOptions } from '../src/index.ts';
import { memoryStorage, MemoryTables } from '../src/storage/memory/index.ts';
import type { Storage } from '../src/storage/index.ts';

const ada = { org: 'acme', type: 'user', id: 'ada' };
const make = (options: Partial<VivariumOptions> = {}) =>
  createVivarium({ storage: memoryStorage(), ...options }).as(ada);

describe('time, ids and randomness come from the ports alone', () => {
  async function run(): Promise<string> {
    const tables = new MemoryTables();
    let time = Date.parse('2025-06-01T12:00:00.000Z');
    let ids = 0;
    const ports = {
      clock: { now: () => new Date(time) },
      ids: { next: () => `00000000-0000-7000-8000-${String(++ids).padStart(12, '0')}` },
      random: { next: () => 0.25 },
    };
    const client = make({ storage: memoryStorage({ tables }), ...ports });
    const project = await unwrap(client.projects.create({ name: 'P', idempotencyKey: 'key' }));
    time += 1_500;
    const environment = await unwrap(
      client.environments.create({ projectId: project.id, name: 'E', variables: [{ key: 'A', value: '1' }] }),
    );
    await unwrap(client.environments.makeDefault(environment.ref));
    const { text } = await unwrap(
      client.environments.render(environment.ref, '{{$uuid}} {{$timestamp}} {{$isoTimestamp}} {{$randomInt}} {{A}}'),
    );
    const { journal, ...rest } = tables.of('acme');
    return JSON.stringify([
      text,
      journal,
      Object.values(rest).map((table) => (table instanceof Map ? [...table] : table)),
    ]);
  }

  test('two runs are the same to the byte', async () => {
    const first = await run();
    expect(await run()).toBe(first);
    expect(first).toContain('2025-06-01T12:00:01.500Z');
  });
});

describe('a command that is overtaken', () => {
  /** The storage, where `meanwhile` happens once, between the next load and the write that follows it. */
  function interrupted(storage: Storage, meanwhile: () => Promise<unknown>): Storage {
    let happened = false;
    const { environments } = storage;
    const get: typeof environments.get = (...args) =>
      environments.get(...args).map(async (loaded) => {
        if (!happened) {
          happened = true;
          await meanwhile();
        }
        return loaded;
      });
    return { ...storage, environments: { ...environments, get } };
  }

  async function scene() {
    const tables = new MemoryTables();
    const client = make({ storage: memoryStorage({ tables }) });
    const project = await unwrap(client.projects.create({ name: 'P' }));
    const { ref } = await unwrap(client.environments.getDefault(project.id));
    const late = (meanwhile: () => Promise<unknown>) =>
      make({ storage: interrupted(memoryStorage({ tables }), meanwhile) });
    return { client, project, ref, late };
  }

  test('decides again on what there then is', async () => {
    const { client, ref, late } = await scene();
    const rival = () => unwrap(client.environments.patchVariables(ref, { set: [{ key: 'RIVAL', value: '1' }] }));
    await unwrap(late(rival).environments.patchVariables(ref, { set: [{ key: 'MINE', value: '2' }] }));
    const { variables, version } = await unwrap(client.environments.get(ref));
    expect(variables.map(({ key }) => key)).toEqual(['RIVAL', 'MINE']);
    expect(version).toBe(3);
  });

  test('is stale where it expects a version', async () => {
    const { client, ref, late } = await scene();
    const rival = () => unwrap(client.environments.update(ref, { description: 'rival' }));
    const answer = await late(rival).environments.setVariables(ref, { variables: [], expectedVersion: 1 });
    expect(answer._unsafeUnwrapErr()).toMatchObject({ code: 'stale_version', expected: 1, actual: 2 });
  });

  test('is not_found where what it changes has gone', async () => {
    const { client, project, ref, late } = await scene();
    await unwrap(client.environments.create({ projectId: project.id, name: 'Other' }));
    const rival = () => unwrap(client.environments.delete(ref));
    const answer = await late(rival).environments.update(ref, { name: 'X' });
    expect(answer._unsafeUnwrapErr().code).toBe('not_found');
  });

  test('replays where the same call under the same key was quicker', async () => {
    const { client, ref, late } = await scene();
    const input = { set: [{ key: 'A', value: '1' }], idempotencyKey: 'key' };
    const rival = () => unwrap(client.environments.patchVariables(ref, input));
    const answer = await unwrap(late(rival).environments.patchVariables(ref, input));
    expect(answer.version).toBe(2);
    expect(await unwrap(client.environments.get(ref))).toEqual(answer);
  });

  test('is a mismatch where another call took its key', async () => {
    const { client, ref, late } = await scene();
    const patch = (value: string) => ({ set: [{ key: 'A', value }], idempotencyKey: 'key' });
    const rival = () => unwrap(client.environments.patchVariables(ref, patch('1')));
    const answer = await late(rival).environments.patchVariables(ref, patch('2'));
    expect(answer._unsafeUnwrapErr().code).toBe('idempotency_mismatch');
  });

  test('writes nothing when the caller aborts between load and write', async () => {
    const { client, ref, late } = await scene();
    const controller = new AbortController();
    const answer = await late(async () => controller.abort()).environments.update(ref, {
      name: 'X',
      signal: controller.signal,
    });
    expect(answer._unsafeUnwrapErr()).toMatchObject({ code: 'storage_failure', outcome: 'none', retryable: true });
    expect((await unwrap(client.environments.get(ref))).version).toBe(1);
  });
});
