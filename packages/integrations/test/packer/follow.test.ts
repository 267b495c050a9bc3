import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createVivarium, err, ResultAsync, StorageFailure, unwrap } from '@vivarium/core';
import type { Storage } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { describe, expect, test } from 'vitest';

import { followPacker } from '../../src/packer/index.ts';
import type { PackerFollowing } from '../../src/packer/index.ts';

/** Printed by Packer 1.6.6; see the names. */
const recording = (name: string) => join(import.meta.dirname, 'recordings', name);
const lines = (...texts: readonly string[]) => output(texts.map((text) => `1795264991,,ui,say,==> base: ${text}\n`));

async function* output(chunks: readonly string[]): AsyncGenerator<string> {
  yield* chunks;
}

async function world(storage: Storage = memoryStorage()) {
  const clock = { ms: Date.UTC(2026, 10, 21), now: () => new Date(clock.ms) };
  const { builds, ...ada } = createVivarium({ storage, clock }).as({ org: 'acme', type: 'user', id: 'ada' });
  const platform = await unwrap(builds.catalog.platforms.create({ name: 'aws', cloudProvider: 'aws' }));
  const os = await unwrap(builds.catalog.osVersions.create({ name: 'rhel-8.8', osFamily: 'rhel', majorVersion: 8 }));
  const image = await unwrap(builds.catalog.imageTypes.create({ name: 'base' }));
  const project = await unwrap(ada.projects.create({ name: 'Images' }));
  const references = { platformId: platform.id, osVersionId: os.id, imageTypeId: image.id };
  const start = async (more: { projectId?: string } = {}) =>
    unwrap(await builds.start({ buildNumber: `${clock.ms}`, ...references, ...more }));
  const follow = (buildId: string, following: Omit<PackerFollowing, 'builds' | 'buildId'>) =>
    followPacker({ builds, buildId, ...following });
  const history = async (id: string) =>
    unwrap(await builds.listStates(id)).items.map(
      ({ state, status, retryCount }) => `${state} ${status} ${retryCount}`,
    );
  return { builds, start, follow, history, project, clock };
}

describe('a run that ends well', () => {
  test('enters milestones as it gets there, attaches the manifest, and completes the build', async () => {
    const { builds, start, follow, history } = await world();
    const { id } = await start();
    const seen: string[] = [];
    const run = unwrap(
      await follow(id, {
        output: createReadStream(recording('completed.txt')),
        manifest: recording('packer-manifest.json'),
        exitCode: Promise.resolve(0),
        onEvent: ({ type }) => seen.push(type),
      }),
    );
    expect(run).toMatchObject({
      build: { status: 'completed', currentState: 100 },
      failure: null,
      artifacts: [
        { target: 'base-image', id: 'Null' },
        { target: 'base-image', id: 'Null' },
      ],
    });
    expect(await history(id)).toEqual([
      '0 completed 0',
      '20 completed 0',
      '30 completed 0',
      '90 completed 0',
      '100 completed 0',
    ]);
    const written: unknown = JSON.parse(await readFile(recording('packer-manifest.json'), 'utf8'));
    expect(unwrap(await builds.get(id)).packerManifest).toEqual(written);
    expect(seen).toHaveLength(24);
  });

  test('with a plan of other milestones, enters the highest one below', async () => {
    const { builds, project, start, follow, history } = await world();
    await unwrap(builds.milestonePlans.define({ projectId: project.id, milestones: [10, 25, 80, 100] }));
    const { id } = await start({ projectId: project.id });
    await unwrap(follow(id, { output: createReadStream(recording('completed.txt')) }));
    expect(await history(id)).toEqual(['10 completed 0', '25 completed 0', '80 completed 0', '100 completed 0']);
  });

  test('goes by the milestones that it is given', async () => {
    const { start, follow, history } = await world();
    const { id } = await start();
    const milestones = [
      { state: 40, when: ({ level }: { readonly level: string }) => level === 'error' },
      { state: 60, when: /Installing HANA/ },
    ];
    await unwrap(follow(id, { output: createReadStream(recording('completed.txt')), milestones }));
    expect(await history(id)).toEqual([
      '0 completed 0',
      '30 completed 0',
      '40 completed 0',
      '60 completed 0',
      '100 completed 0',
    ]);
  });

  test('after it was resumed at its last milestone, completes that', async () => {
    const { builds, start, follow, history } = await world();
    const { id } = await start();
    await unwrap(builds.states.enter(id, { state: 100 }));
    await unwrap(builds.states.fail(id, { failureType: 'x', errorMessage: 'y' }));
    await unwrap(builds.resume(id));
    await unwrap(follow(id, { output: createReadStream(recording('completed.txt')) }));
    expect(await history(id)).toEqual(['100 failed 0', '100 completed 1']);
  });

  test.each([
    ['is missing', 'nowhere.json', 'nowhere.json cannot be read'],
    ['is no manifest', 'broken.json', 'broken.json: invalid input: manifest'],
  ])('without its manifest is a failed one: it %s', async (_what, name, message) => {
    const folder = await mkdtemp(join(tmpdir(), 'packer-'));
    await writeFile(join(folder, 'broken.json'), '{"builds":');
    const { start, follow } = await world();
    const { id } = await start();
    const run = unwrap(
      await follow(id, { output: createReadStream(recording('completed.txt')), manifest: join(folder, name) }),
    );
    expect(run).toMatchObject({
      build: { status: 'failed', currentState: 90 },
      failure: { failureType: 'manifest_refused', component: 'manifest' },
    });
    expect(run.failure?.errorMessage).toContain(message);
  });
});

describe('a run that fails', () => {
  test.each([
    {
      name: 'provisioner-failed.txt',
      exitCode: 1,
      state: 20,
      failureType: 'provisioner_failed',
      component: 'shell-local',
      errorMessage: 'Script exited with non-zero exit status: 100.Allowed exit codes are: [0]',
    },
    {
      name: 'one-of-two-failed.txt',
      exitCode: 1,
      state: 20,
      failureType: 'provisioner_failed',
      component: 'shell-local',
      errorMessage: 'Script exited with non-zero exit status: 3.Allowed exit codes are: [0]',
    },
    {
      name: 'ssh-timeout.txt',
      exitCode: 1,
      state: 10,
      failureType: 'connection_timeout',
      component: 'base-image',
      errorMessage: 'Timeout waiting for SSH.',
    },
    {
      name: 'template-refused.txt',
      exitCode: 1,
      state: 0,
      failureType: 'template_refused',
      component: null,
      errorMessage: "Failed to parse template: 1 error occurred:\n\t* Unknown root level key in template: 'nope'",
    },
    {
      name: 'killed.txt',
      exitCode: null,
      state: 20,
      failureType: 'interrupted',
      component: 'shell-local',
      errorMessage: 'packer ended without saying how',
    },
    {
      name: 'killed.txt',
      exitCode: 137,
      state: 20,
      failureType: 'interrupted',
      component: 'shell-local',
      errorMessage: 'packer ended with exit code 137',
    },
    {
      name: 'completed.txt',
      exitCode: 2,
      state: 90,
      failureType: 'interrupted',
      component: 'manifest',
      errorMessage: 'packer ended with exit code 2',
    },
  ])('$name, exit code $exitCode: $failureType', async ({ name, exitCode, state, ...failure }) => {
    const { builds, start, follow } = await world();
    const { id } = await start();
    const run = unwrap(
      await follow(id, { output: createReadStream(recording(name)), exitCode: Promise.resolve(exitCode) }),
    );
    expect(run.build).toMatchObject({ status: 'failed', currentState: state });
    expect(run.failure).toMatchObject(failure);
    const [kept] = unwrap(await builds.listFailures({ buildId: id })).items;
    expect(kept).toMatchObject({ ...failure, state, errorDetails: { exitCode } });
  });

  test('of two builders, only the one that was asked for counts', async () => {
    const { start, follow, clock } = await world();
    const one = await start();
    clock.ms++;
    const other = await start();
    const follows = (id: string, target: string) =>
      follow(id, {
        output: createReadStream(recording('one-of-two-failed.txt')),
        target,
        exitCode: Promise.resolve(1),
      });
    expect(unwrap(await follows(one.id, 'aws'))).toMatchObject({
      build: { status: 'completed' },
      artifacts: [{ target: 'aws', id: 'Null' }],
    });
    expect(unwrap(await follows(other.id, 'azure'))).toMatchObject({
      build: { status: 'failed' },
      failure: { errorDetails: { errors: [{ target: 'azure' }] } },
      artifacts: [],
    });
  });

  test('stays where it failed, whatever is said while it is cleaned up', async () => {
    const { start, follow, history } = await world();
    const { id } = await start();
    const said = lines(
      'Provisioning with shell script: setup.sh',
      'Provisioning step had errors: Running the cleanup provisioner, if present...',
      'Stopping the source instance...',
      'Creating AMI base from instance',
    );
    await unwrap(follow(id, { output: said }));
    expect(await history(id)).toEqual(['0 completed 0', '20 failed 0']);
  });

  test('and is resumed, is followed again from where it stood', async () => {
    const { builds, start, follow, history } = await world();
    const { id } = await start();
    await unwrap(follow(id, { output: createReadStream(recording('provisioner-failed.txt')) }));
    await unwrap(builds.resume(id));
    await unwrap(follow(id, { output: createReadStream(recording('completed.txt')) }));
    expect(await history(id)).toEqual([
      '0 completed 0',
      '20 failed 0',
      '20 completed 1',
      '30 completed 0',
      '90 completed 0',
      '100 completed 0',
    ]);
  });

  test('says no more than a storage takes, and nothing that it would refuse', async () => {
    const { start, follow } = await world();
    const { id } = await start();
    const error = (target: string) => `1795264991,${target},error,\0${'🦔'.repeat(3_000)}\n`;
    const run = unwrap(await follow(id, { output: output(Array.from({ length: 40 }, (_, i) => error(`t${i}`))) }));
    expect([...run.failure!.errorMessage]).toHaveLength(2_000);
    expect(run.build.status).toBe('failed');
  });
});

describe('following', () => {
  test('gives signs of life while Packer has something to say', async () => {
    const { builds, start, follow, clock } = await world();
    const { id } = await start();
    const beats: (Date | null)[] = [];
    async function* slow() {
      for (let i = 0; i < 3; i++) {
        clock.ms += 60_000;
        yield '1795264991,,ui,message,    base: still at it\n';
        beats.push(unwrap(await builds.get(id)).heartbeatAt);
      }
    }
    await unwrap(follow(id, { output: slow(), heartbeatEveryMs: 0 }));
    expect(beats.map((beat) => beat?.getTime())).toEqual([1, 2, 3].map((i) => Date.UTC(2026, 10, 21) + i * 60_000));
  });

  test.each(['completed', 'canceled', 'failed'] as const)('refuses a build that is %s', async (status) => {
    const { builds, start, follow } = await world();
    const { id } = await start();
    await unwrap(builds.states.enter(id, { state: 100 }));
    if (status === 'completed') await unwrap(builds.states.complete(id, { state: 100 }));
    if (status === 'canceled') await unwrap(builds.cancel(id));
    if (status === 'failed') await unwrap(builds.states.fail(id, { failureType: 'x', errorMessage: 'y' }));
    const refused = await follow(id, { output: createReadStream(recording('completed.txt')) });
    expect(refused._unsafeUnwrapErr()).toMatchObject({ code: 'illegal_transition', state: status });
  });

  test('stops, and closes the output, when the build is canceled meanwhile', async () => {
    const { builds, start, follow } = await world();
    const { id } = await start();
    let closed = false;
    async function* said() {
      try {
        yield* lines('Provisioning with shell script: setup.sh');
        await unwrap(builds.cancel(id));
        for (;;) yield* lines('Running post-processor: manifest');
      } finally {
        closed = true;
      }
    }
    const result = await follow(id, { output: said() });
    expect(result._unsafeUnwrapErr()).toMatchObject({ code: 'illegal_transition', state: 'canceled at 20' });
    expect(closed).toBe(true);
  });

  test('makes up for a storage that was away, at the next milestone and at the end', async () => {
    const storage = memoryStorage();
    const { start, follow, history } = await world(storage);
    const { id } = await start();
    const { move } = storage.builds;
    let calls = 0;
    const away = new StorageFailure('away', { retryable: true, outcome: 'none' });
    storage.builds.move = (command) =>
      ++calls === 2 || calls === 4 ? new ResultAsync(Promise.resolve(err(away))) : move(command);
    const run = unwrap(await follow(id, { output: createReadStream(recording('completed.txt')) }));
    expect(run.build.status).toBe('completed');
    expect(await history(id)).toEqual(['0 completed 0', '30 completed 0', '100 completed 0']);
  });
});
