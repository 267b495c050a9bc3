/** Any commands at the port of previews, and at what previews hang from, told to a storage and to memory: both answer the same, and are the same afterwards. */
import { unwrap } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { previewStatuses, previewTypes } from '@vivarium/core/storage';
import type { KeyWrite, PreviewStep, Storage, StoredPreview } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';

import {
  afterMs,
  changeIn,
  deploymentOf,
  environmentOf,
  messageOf,
  newKey,
  newPreview,
  newSecret,
  newWorld,
  next,
  writeWorld,
  writing,
} from './preview-making.ts';
import type { World } from './preview-making.ts';

const org = 'differential';
const first = { limit: 100, after: null };
const names = ['pr-1', 'pr-2', 'pr-3', 'production'];
const deliveries = ['a', 'b', 'B', 'ä', 'a '];

/** So many of what was made last are worked on, some of it gone already. */
const [worldsAtOnce, idsAtOnce] = [4, 8];

/** What was decided by chance, so that it is decided again by the same seed. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  is(percent: number): boolean {
    return this.below(100) < percent;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

type Command = (storage: Storage) => PromiseLike<unknown>;

class Differential {
  readonly #chance: Chance;
  readonly #memory = memoryStorage();
  readonly #storage: Storage;
  readonly #worlds: World[] = [];
  readonly #ids: string[] = [randomUUID()];
  readonly #keys: KeyWrite[] = [newKey()];

  constructor(storage: Storage, seed: number) {
    this.#storage = storage;
    this.#chance = new Chance(seed);
  }

  async run(commands: number): Promise<Readonly<Record<string, number>>> {
    const came: Record<string, number> = {};
    for (let worlds = 0; worlds < 3; worlds++) await this.#addWorld();
    for (let count = 0; count < commands; count++) {
      const [name, command] = await this.#command();
      const [expected, answered] = [await command(this.#memory), await command(this.#storage)];
      expect([count, name, answered]).toEqual([count, name, expected]);
      const word = `${name} ${(expected as { refused?: string } | null)?.refused ?? 'done'}`;
      came[word] = (came[word] ?? 0) + 1;
      if (count % 10 === 9)
        expect([count, await this.#view(this.#storage)]).toEqual([count, await this.#view(this.#memory)]);
      if (name.startsWith('delete') && word.endsWith('done')) await this.#addWorld();
    }
    return came;
  }

  /** A project with an app, on a repository of its own or on one that another app has, too. */
  async #addWorld(): Promise<void> {
    const world = newWorld(org);
    for (const storage of [this.#memory, this.#storage]) await writeWorld(storage, world);
    this.#worlds.push(world);
    if (this.#worlds.length > worldsAtOnce) this.#worlds.shift();
  }

  /** Another change for each of both storages would be another one in each journal. */
  #change() {
    return changeIn(
      org,
      this.#chance.is(20) ? this.#chance.of(this.#keys) : this.#chance.is(30) ? this.#newKey() : null,
    );
  }

  #newKey(): KeyWrite {
    const key = newKey();
    this.#keys.push(key);
    return key;
  }

  async #command(): Promise<readonly [string, Command]> {
    const chance = this.#chance;
    const world = chance.of(this.#worlds);
    const { app, repo, project } = world;
    const change = this.#change();
    const id = chance.of(this.#ids.slice(-idsAtOnce));
    const type = chance.of(previewTypes);
    const name = chance.of(['A', 'a', 'B']);
    const { found: known } = await unwrap(this.#memory.previews.secretFacts(org, { appId: app.id, type, name }));
    const secret = (sealVersion: number) => ({
      ...newSecret(world, name, sealVersion + (chance.is(20) ? 1 : 0)),
      type,
    });
    const { found } = await unwrap(this.#memory.previews.facts(org, id));

    switch (chance.below(18)) {
      case 0:
      case 1: {
        const preview = this.#differing(newPreview(world, chance.of(names)));
        this.#ids.push(preview.id);
        const run = deploymentOf(preview, 1);
        const runs = chance.is(50);
        const command = writing(org, runs ? { ...preview, run: run.id } : preview, {
          environment: { ...environmentOf(preview), ...(runs && { deploymentSequence: 1, latestDeployment: run.id }) },
          deployments: runs ? [{ deployment: run, adds: true }] : [],
          message: chance.is(50) ? messageOf(org, preview) : null,
          change,
        });
        return ['create', ({ previews }) => unwrap(previews.create(command))];
      }
      case 2:
      case 3:
      case 4:
      case 5:
      case 6: {
        const there = found?.preview ?? { ...newPreview(world, 'gone'), id };
        const expectedVersion = chance.is(80) ? there.version : there.version + chance.of([-1, 1]);
        const preview = this.#differing({ ...next(there), commentId: 'another one' });
        const environment = found?.environment ?? environmentOf(preview);
        const begun = chance.is(30) ? deploymentOf(preview, environment.deploymentSequence + 1) : null;
        const ended = found?.run != null && chance.is(30) ? { ...found.run, status: 'failed' as const } : null;
        const command = {
          preview: begun === null ? preview : { ...preview, run: begun.id },
          environment: {
            ...environment,
            version: preview.version,
            ...(begun && {
              deploymentSequence: begun.sequence,
              latestDeployment: begun.id,
              activeDeployment: begun.id,
            }),
          },
          deployments: [
            ...(ended === null ? [] : [{ deployment: ended, adds: false }]),
            ...(begun === null ? [] : [{ deployment: begun, adds: true }]),
          ],
          message: chance.is(40) ? messageOf(org, preview) : null,
          change,
        };
        const previousBranch = environment.branch;
        return ['write', ({ previews }) => unwrap(previews.write({ ...command, expectedVersion, previousBranch }))];
      }
      case 7: {
        const version = (found?.preview.version ?? 1) - (chance.is(20) ? 1 : 0);
        return ['countTry', ({ previews }) => unwrap(previews.countTry(org, id, version))];
      }
      case 8:
      case 9: {
        const generation = (found?.preview.generation ?? 1) + (chance.is(20) ? 1 : 0);
        const kept: PreviewStep = {
          projectEnvironmentId: id,
          generation,
          step: chance.of(['comment', 'clearing', 'runtime']),
          result: chance.is(80) ? randomUUID() : null,
          at: afterMs(chance.below(10_000)),
        };
        return ['keepStep', ({ previews }) => unwrap(previews.keepStep(org, kept))];
      }
      case 10: {
        const message = messageOf(org, {
          ...newPreview(world, 'x'),
          id,
          version: (found?.preview.version ?? 1) - chance.below(2),
        });
        return ['sent', ({ previews }) => unwrap(previews.sent(org, message))];
      }
      case 11: {
        const [delivery, expiresAt] = [chance.of(deliveries), afterMs(chance.below(10_000))];
        return ['keepDelivery', ({ previews }) => unwrap(previews.keepDelivery(org, delivery, expiresAt))];
      }
      case 12: {
        const now = afterMs(chance.below(6_000));
        return ['pruneDeliveries', ({ previews }) => unwrap(previews.pruneDeliveries(org, { now, limit: 100 }))];
      }
      case 13:
      case 14: {
        const command = { secret: secret((known?.sealVersion ?? 0) + 1), change };
        return ['writeSecret', ({ previews }) => unwrap(previews.writeSecret(command))];
      }
      case 15: {
        const command = { secret: secret(known?.sealVersion ?? 1), change };
        return ['removeSecret', ({ previews }) => unwrap(previews.removeSecret(command))];
      }
      case 16: {
        const scope = { type: 'app', id: app.id } as const;
        const value = { wrapped: 'a2V5', wrappedBy: 'local', commitment: 'c', version: 1 };
        const times = { createdAt: afterMs(0), updatedAt: afterMs(0) };
        const key = { id: randomUUID(), scope, generation: 1 + chance.below(2), ...value, ...times };
        return ['addKey', ({ dataKeys }) => unwrap(dataKeys.add(org, key))];
      }
      default: {
        const version = chance.is(90) ? 1 : 2;
        const [givenApp, givenRepo, givenProject] = [app, repo, project].map((one) => ({ ...one, version }));
        switch (chance.below(3)) {
          case 0:
            return [
              'deleteApp',
              ({ deployments }) => unwrap(deployments.deleteApp({ app: givenApp as typeof app, change })),
            ];
          case 1:
            return [
              'deleteRepo',
              ({ deployments }) => unwrap(deployments.deleteRepo({ repo: givenRepo as typeof repo, change })),
            ];
          default:
            return [
              'deleteProject',
              ({ projects }) => unwrap(projects.delete({ project: givenProject as typeof project, change })),
            ];
        }
      }
    }
  }

  /** The same preview with other values where some may be. */
  #differing(preview: StoredPreview): StoredPreview {
    const chance = this.#chance;
    const soon = () => afterMs(chance.below(10_000));
    return {
      ...preview,
      status: chance.of(previewStatuses),
      branch: chance.of(['feature', 'ü "`\'\\', 'main']),
      fork: chance.is(50),
      url: chance.is(50) ? 'https://example.com/?a=%27' : null,
      tests: chance.of(['passed', 'failed', null]),
      hasRuntime: chance.is(30),
      generation: preview.generation + chance.below(2),
      reportKey: chance.is(50) ? 'vv1.key' : preview.reportKey,
      pendingCommand: chance.of([
        null,
        { type: 'stop', sha: null, cause: 'aged' },
        { type: 'create', sha: 'b'.repeat(64), cause: null },
      ]),
      tries: chance.below(3),
      reason: chance.is(30) ? 'it failed: 🧪' : null,
      stopCause: chance.of([null, 'asked', 'closed', 'aged']),
      deadline: chance.is(50) ? soon() : null,
      requestedAt: soon(),
      type: preview.environment === 'production' ? 'production' : 'preview',
      // Only when it is made.
      createdAt: preview.version === 1 ? soon() : preview.createdAt,
    };
  }

  /** Everything that the ports let see. */
  async #view({ previews, deployments, dataKeys }: Storage): Promise<unknown> {
    const apps = [];
    for (const { app, project, repo } of this.#worlds) {
      const owner = { appId: app.id };
      const asked = [];
      for (const environment of names)
        asked.push(await unwrap(previews.askFacts(org, { ...owner, environment }, this.#keys.at(-1)!.id)));
      const listed = [];
      for (const status of [undefined, ...previewStatuses]) {
        const filter = { ...owner, ...(status && { status }) };
        const page = await unwrap(previews.list(org, filter, { limit: 2, after: null }));
        const last = page?.items.at(-1);
        listed.push(page, last && (await unwrap(previews.list(org, filter, { limit: 2, after: last }))));
      }
      const secrets = [];
      for (const type of previewTypes) secrets.push(await unwrap(previews.secrets(org, { ...owner, type })));
      const fact = await unwrap(previews.secretFacts(org, { ...owner, type: 'preview', name: 'A' }, this.#keys[0]!.id));
      apps.push({
        asked,
        listed,
        secrets,
        fact,
        app: await unwrap(deployments.getApp(org, app.id)),
        repo: await unwrap(deployments.getRepo(org, repo.id)),
        environments: await unwrap(deployments.listEnvironments(org, { projectId: project.id }, first)),
        keys: (await unwrap(dataKeys.ofScope(org, { type: 'app', id: app.id }))).length,
      });
    }
    const found = [];
    for (const id of this.#ids.slice(-idsAtOnce)) {
      const { found: facts } = await unwrap(previews.facts(org, id));
      const steps = facts?.steps.toSorted((a, b) => (a.step < b.step ? -1 : 1));
      found.push({ ...facts, steps }, await unwrap(deployments.history(org, id, first)));
    }
    const dues = [];
    for (const now of [0, 3_000, 9_000].map(afterMs)) {
      for (const askedBy of [null, afterMs(0), afterMs(5_000)]) {
        const due = await unwrap(previews.due(org, { now, askedBy, limit: 3, after: null }));
        dues.push(due, await unwrap(previews.due(org, { now, askedBy, limit: 9, after: due.at(-1)?.id ?? null })));
      }
    }
    const known = [];
    for (const delivery of [...deliveries, 'A'])
      known.push(await unwrap(previews.knowsDelivery(org, delivery, afterMs(5_000))));
    const unsent = await unwrap(previews.unsent(org, { limit: 2, after: null }));
    const further = await unwrap(
      previews.unsent(org, { limit: 9, after: unsent.at(-1)?.projectEnvironmentId ?? null }),
    );
    return { apps, found, dues, known, unsent, further };
  }
}

/** What commands come to, of which none must be missing where there is something to compare. */
export const outcomes = [
  ...['done', 'stale', 'gone', 'key_taken'].flatMap((word) => [`create ${word}`, `writeSecret ${word}`]),
  ...['done', 'stale', 'not_found'].map((word) => `write ${word}`),
  ...['done', 'stale'].map((word) => `removeSecret ${word}`),
  ...['deleteApp', 'deleteRepo', 'deleteProject'].flatMap((name) => [`${name} done`, `${name} has_live_previews`]),
];

/** Answers how often each command came to what. */
export function previewsLikeInMemory(
  storage: Storage,
  { seed, commands }: { readonly seed: number; readonly commands: number },
): Promise<Readonly<Record<string, number>>> {
  return new Differential(storage, seed).run(commands);
}
