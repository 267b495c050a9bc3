import { describe, expect, test } from 'vitest';

import { createVivarium, defaultLimits, unwrap } from '../src/index.ts';
import type { Limits, VariableInput } from '../src/index.ts';
import { memoryStorage } from '../src/storage/memory/index.ts';

const client = (limits: Partial<Limits>) =>
  createVivarium({ storage: memoryStorage(), limits }).as({ org: 'acme', type: 'user', id: 'ada' });
const many = (count: number): readonly VariableInput[] =>
  Array.from({ length: count }, (_, index) => ({ key: `K${index}`, value: '' }));
const emptyList = '[]'.length;
const bytesOf = (...variables: readonly { key: string; value: string; description?: string }[]) =>
  Buffer.byteLength(JSON.stringify(variables));

describe('limits', () => {
  test('are those of the seed where none are given', () => {
    expect(defaultLimits).toEqual({
      environmentsPerProject: 50,
      variablesPerEnvironment: 100,
      variableBytesPerEnvironment: 51_200,
    });
  });

  test.each([1, 2, 50])('a project holds %i environments and no more', async (environmentsPerProject) => {
    const ada = client({ environmentsPerProject });
    const project = await unwrap(ada.projects.create({ name: 'P' }));
    for (let index = 1; index < environmentsPerProject; index++) {
      await unwrap(ada.environments.create({ projectId: project.id, name: `E ${index}` }));
    }
    const refusal = { code: 'limit_reached', limit: 'environmentsPerProject', maximum: environmentsPerProject };
    const created = await ada.environments.create({ projectId: project.id, name: 'One more' });
    expect(created._unsafeUnwrapErr()).toMatchObject(refusal);
    const { ref } = await unwrap(ada.environments.getDefault(project.id));
    expect((await ada.environments.duplicate(ref, { name: 'One more' }))._unsafeUnwrapErr()).toMatchObject(refusal);
  });

  test.each([0, 1, 100])('an environment holds %i variables and no more', async (variablesPerEnvironment) => {
    const ada = client({ variablesPerEnvironment });
    const full = many(variablesPerEnvironment);
    const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'E', variables: full }] }));
    const { ref } = await unwrap(ada.environments.getDefault(project.id));
    const tooMany = many(variablesPerEnvironment + 1);
    const set = await ada.environments.setVariables(ref, { variables: tooMany });
    expect(set._unsafeUnwrapErr()).toMatchObject({ code: 'invalid_input', issues: [{ path: 'variables' }] });
    const patched = await ada.environments.patchVariables(ref, { set: [{ key: 'ONE_MORE', value: '' }] });
    expect(patched._unsafeUnwrapErr().code).toBe(variablesPerEnvironment === 0 ? 'invalid_input' : 'limit_reached');
    await unwrap(ada.environments.setVariables(ref, { variables: full }));
  });

  test('room that a patch frees may be taken by the same patch', async () => {
    const ada = client({ variablesPerEnvironment: 2 });
    const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'E', variables: many(2) }] }));
    const { ref } = await unwrap(ada.environments.getDefault(project.id));
    const patched = await unwrap(
      ada.environments.patchVariables(ref, { set: [{ key: 'NEW', value: '' }], unset: ['K0'] }),
    );
    expect(patched.variables.map(({ key }) => key)).toEqual(['K1', 'NEW']);
  });

  test('bytes are those of the canonical JSON in UTF-8, keys and descriptions included', async () => {
    const variable = { key: 'KEY', value: '語"\n', description: 'é' };
    const bytes = bytesOf(variable);
    const exact = client({ variableBytesPerEnvironment: bytes });
    const project = await unwrap(
      exact.projects.create({ name: 'P', environments: [{ name: 'E', variables: [variable] }] }),
    );
    const [summary] = (await unwrap(exact.environments.list({ projectId: project.id }))).items;
    expect(summary?.variableBytes).toBe(bytes);

    const less = client({ variableBytesPerEnvironment: bytes - 1 });
    const refused = await less.projects.create({ name: 'P', environments: [{ name: 'E', variables: [variable] }] });
    expect(refused._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path: 'environments[0].variables' }],
    });
    expect(bytesOf()).toBe(emptyList);
    await unwrap(client({ variableBytesPerEnvironment: emptyList }).projects.create({ name: 'P' }));
  });

  test('a limit that was lowered blocks what is new and leaves what is there', async () => {
    const storage = memoryStorage();
    const caller = { org: 'acme', type: 'user', id: 'ada' };
    const before = createVivarium({ storage }).as(caller);
    const environments = Array.from({ length: 5 }, (_, index) => ({ name: `E ${index}`, variables: many(5) }));
    const project = await unwrap(before.projects.create({ name: 'P', environments }));
    const { ref } = await unwrap(before.environments.getDefault(project.id));

    const limits = { environmentsPerProject: 2, variablesPerEnvironment: 2 };
    const after = createVivarium({ storage, limits }).as(caller);
    expect((await unwrap(after.environments.get(ref))).variables).toHaveLength(5);
    await unwrap(after.environments.update(ref, { description: 'still changes' }));
    await unwrap(after.environments.makeDefault(ref));
    expect((await after.environments.duplicate(ref, { name: 'X' }))._unsafeUnwrapErr().code).toBe('limit_reached');
    const patch = await after.environments.patchVariables(ref, { set: [{ key: 'K0', value: 'changed' }] });
    expect(patch._unsafeUnwrapErr().code).toBe('limit_reached');
    await unwrap(after.environments.setVariables(ref, { variables: many(2) }));
    for (const { ref: other } of (await unwrap(after.environments.list({ projectId: project.id }))).items.slice(1)) {
      await unwrap(after.environments.delete(other));
    }
    await unwrap(after.environments.create({ projectId: project.id, name: 'Room again' }));
  });
});
