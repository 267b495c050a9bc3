/** The port of previews, method by method in any order, with what is deleted around it: DynamoDB answers as memory does, also with 20 % of its transactions in the way of others. */
import { createVivarium, unwrap } from '@vivarium/core';
import type { Client, ResultAsync, VivariumError } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { previewStatuses, previewSteps, previewTypes } from '@vivarium/core/storage';
import type {
  App,
  Change,
  Deployment,
  PreviewFacts,
  PreviewPosition,
  PreviewWrite,
  QueueMessage,
  Storage,
  Stored,
  StoredPage,
  StoredPreview,
  StoredProjectEnvironment,
} from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { seededRandom, sequentialIds } from '@vivarium/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dynamodbStorage } from '../src/index.ts';
import { clientAt, injectConflicts, makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

const steps = 400;
const start = new Date('2026-03-01T10:00:00.000Z');
const after = (milliseconds: number) => new Date(start.getTime() + milliseconds);
const branches = ['main', 'one', 'two'];
const names = ['pr-1', 'pr-2', 'pr-3', 'production'];
const ada = { type: 'user', id: 'ada' };

/** Both storages, asked the same: what they answer has to be the same. */
class Pair {
  readonly storages: readonly Storage[];
  readonly clients: readonly Client[];
  readonly org: string;
  answers = 0;

  constructor(storages: readonly Storage[], org: string) {
    this.storages = storages;
    this.org = org;
    // The same ids on both, and times that a test can say again.
    this.clients = storages.map((storage) =>
      createVivarium({ storage, ids: sequentialIds(), clock: { now: () => start } }).as({ org, ...ada }),
    );
  }

  async ask<T>(call: (storage: Storage) => Stored<T>): Promise<T> {
    const [memory, dynamodb] = await Promise.all(this.storages.map(async (storage) => unwrap(await call(storage))));
    expect(inOrder(dynamodb)).toEqual(inOrder(memory));
    this.answers++;
    return memory as T;
  }

  async do<T>(call: (client: Client) => ResultAsync<T, VivariumError>): Promise<{ value?: T; code?: string }> {
    const [memory, dynamodb] = await Promise.all(
      this.clients.map((client) =>
        call(client).match(
          (value): { value?: T; code?: string } => ({ value }),
          ({ code }) => ({ code }),
        ),
      ),
    );
    expect(dynamodb).toEqual(memory);
    return memory!;
  }
}

class Worker {
  readonly refusals = new Map<string, number>();
  readonly #pair: Pair;
  readonly #random;
  readonly #apps: App[] = [];
  readonly #previews: string[] = [];
  #made = 0;
  #changes = 0;

  constructor(pair: Pair, seed: number) {
    this.#pair = pair;
    this.#random = seededRandom(seed);
  }

  #id(): string {
    return `00000000-0000-4000-8000-${String((++this.#made * 7919) % 999_983).padStart(6, '0')}${String(this.#made).padStart(6, '0')}`;
  }

  #change(key: string | null = null): Change {
    const id = `change-${++this.#changes}`;
    return {
      orgId: this.#pair.org,
      at: start,
      key: key === null ? null : { id: key, fingerprint: 'print', result: { id }, expiresAt: after(60_000) },
      entry: {
        id,
        orgId: this.#pair.org,
        subject: { type: 'test', id },
        stream: id,
        sequence: 1,
        action: 'tested',
        actor: ada,
        at: start,
        data: {},
      },
    };
  }

  /** Projects, repositories and apps come again as they are deleted. */
  async #makeApp(): Promise<void> {
    const random = this.#random;
    const name = random.pick(['Shop', 'Bank']);
    const fullName = random.pick(['acme/shop', 'acme/bank']);
    await this.#pair.do((client) => client.projects.create({ name }));
    const project = await this.#pair.do((client) => client.projects.getByName(name));
    const repo = await this.#pair.do((client) => client.deployments.repos.register({ provider: 'github', fullName }));
    const { id: projectId } = project.value!;
    const { id: repoId } = repo.value!;
    const app = await this.#pair.do((client) => client.deployments.apps.create({ projectId, repoId, name }));
    if (app.value !== undefined) this.#apps.push(app.value);
  }

  #app(): App {
    const recent = this.#apps.slice(-5);
    return this.#random.pick(recent);
  }

  /** Any field may be anything: the port does not know the rules. */
  #moved(before: StoredPreview, changes: Partial<StoredPreview> = {}): StoredPreview {
    const random = this.#random;
    return {
      ...before,
      status: random.pick(previewStatuses),
      type: random.pick(previewTypes),
      branch: random.pick(branches),
      hasRuntime: random.integer(3) === 0,
      runtimeId: random.pick([null, 'runtime']),
      deadline: random.pick([null, after(random.integer(1_000))]),
      requestedAt: after(random.integer(1_000)),
      pendingCommand: random.pick([null, { type: 'stop', sha: null, cause: 'closed' }]),
      reportKey: random.pick([null, 'vv1.sealed']),
      approvedSha: random.pick([null, 'f'.repeat(40)]),
      tests: random.pick([null, 'passed']),
      reason: random.pick([null, 'because "é" \u{1f600}']),
      note: random.pick([null, 'a note']),
      url: random.pick([null, 'https://a.example.com']),
      commentId: random.pick([null, 'not to be written']),
      tries: random.integer(3),
      reportSequence: random.integer(9),
      updatedAt: after(random.integer(1_000)),
      ...changes,
    };
  }

  #deployment(environment: StoredProjectEnvironment, changes: Partial<Deployment> = {}): Deployment {
    return {
      id: this.#id(),
      projectEnvironmentId: environment.id,
      sequence: environment.deploymentSequence + 1,
      status: 'created',
      gitRef: 'main',
      sha: 'a'.repeat(40),
      url: null,
      description: null,
      rollbackOf: null,
      configuration: null,
      createdBy: ada,
      deadline: after(this.#random.integer(1_000)),
      createdAt: start,
      startedAt: null,
      endedAt: null,
      updatedAt: start,
      ...changes,
    };
  }

  /** A run that ends, the one that is live no more, and one that begins: any of them may be missing. */
  #runs(
    before: Pick<PreviewFacts, 'environment' | 'run' | 'active'>,
    preview: StoredPreview,
  ): Pick<PreviewWrite, 'preview' | 'environment' | 'deployments'> {
    const random = this.#random;
    const { branch, version } = preview;
    let environment: StoredProjectEnvironment = {
      ...before.environment,
      branch,
      version,
      updatedAt: preview.updatedAt,
    };
    let moved = preview;
    const deployments: { deployment: Deployment; adds: boolean }[] = [];
    const { run, active } = before;
    if (run !== null && run.status === 'created' && random.integer(2) === 0) {
      const status = random.pick(['running', 'success', 'failed'] as const);
      deployments.push({ deployment: { ...run, status, url: preview.url, endedAt: after(1) }, adds: false });
      if (status === 'success') {
        if (active !== null) deployments.push({ deployment: { ...active, status: 'inactive' }, adds: false });
        environment = { ...environment, activeDeployment: run.id, activeSequence: run.sequence };
      }
    }
    if (run === null || random.integer(3) === 0) {
      const begun = this.#deployment(environment);
      deployments.push({ deployment: begun, adds: true });
      environment = { ...environment, deploymentSequence: begun.sequence, latestDeployment: begun.id };
      moved = { ...preview, run: begun.id, generation: preview.generation + 1 };
    }
    return { preview: moved, environment, deployments };
  }

  #message(preview: StoredPreview): PreviewWrite['message'] {
    if (this.#random.integer(2) === 0) return null;
    const { id: projectEnvironmentId, version: sequence } = preview;
    return { version: 1, orgId: this.#pair.org, projectEnvironmentId, sequence };
  }

  #refused(written: { readonly done: boolean; readonly refused?: string }): void {
    const what = written.done ? 'done' : written.refused!;
    this.refusals.set(what, (this.refusals.get(what) ?? 0) + 1);
  }

  async #create(): Promise<void> {
    const random = this.#random;
    const { id: appId, projectId, repoId } = this.#app();
    const environment = random.pick(names);
    const { org } = this.#pair;
    const key = random.integer(4) === 0 ? `key-${random.integer(6)}` : null;
    await this.#pair.ask(({ previews }) => previews.askFacts(org, { appId, environment }, key ?? undefined));
    const id = this.#id();
    const at = after(random.integer(5));
    const own: StoredProjectEnvironment = {
      id,
      projectId,
      repoId,
      environment,
      type: 'preview',
      branch: null,
      pullRequest: 1,
      managedBy: appId,
      deploymentSequence: 0,
      latestDeployment: null,
      activeDeployment: null,
      activeSequence: 0,
      version: 1,
      createdAt: at,
      updatedAt: at,
    };
    const blank = {
      id,
      appId,
      projectId,
      repoId,
      environment,
      headRepo: 'acme/shop',
      fork: false,
      waitingSha: null,
      pullRequest: 1,
      sha: 'a'.repeat(40),
      headSha: 'b'.repeat(40),
      generation: 0,
      run: null,
      stopCause: null,
      version: 1,
      createdAt: at,
    } as StoredPreview;
    const made = this.#runs({ environment: own, run: null, active: null }, this.#moved(blank));
    const command = { ...made, message: this.#message(made.preview), change: this.#change(key) };
    const written = await this.#pair.ask(({ previews }) => previews.create(command));
    this.#refused(written);
    if (written.done) this.#previews.push(id);
  }

  #preview(): string {
    return this.#random.pick(this.#previews.length === 0 ? ['none'] : this.#previews.slice(-8));
  }

  async #write(): Promise<void> {
    const random = this.#random;
    const key = random.integer(4) === 0 ? `key-${random.integer(6)}` : null;
    const { org } = this.#pair;
    const id = this.#preview();
    const { found } = await this.#pair.ask(({ previews }) => previews.facts(org, id, key ?? undefined));
    if (found === null) return;
    const { preview, environment } = found;
    const version = preview.version + 1;
    const moved = this.#runs(found, this.#moved(preview, { version }));
    const command = {
      ...moved,
      message: this.#message(moved.preview),
      expectedVersion: preview.version - (random.integer(8) === 0 ? 1 : 0),
      previousBranch: environment.branch,
      change: this.#change(key),
    };
    this.#refused(await this.#pair.ask(({ previews }) => previews.write(command)));
    await this.#pair.ask(({ previews }) => previews.facts(org, id));
  }

  async #secret(): Promise<void> {
    const random = this.#random;
    const { org } = this.#pair;
    const { id: appId } = this.#app();
    const of = { appId, type: random.pick(previewTypes), name: random.pick(['A', 'a', 'B-1', 'Z_']) };
    const key = random.integer(4) === 0 ? `key-${random.integer(6)}` : null;
    const { found } = await this.#pair.ask(({ previews }) => previews.secretFacts(org, of, key ?? undefined));
    const change = this.#change(key);
    if (found !== null && random.integer(3) === 0) {
      const secret = { ...found, sealVersion: found.sealVersion + (random.integer(4) === 0 ? 1 : 0) };
      this.#refused(await this.#pair.ask(({ previews }) => previews.removeSecret({ secret, change })));
    } else {
      const sealVersion = (found?.sealVersion ?? 0) + (random.integer(5) === 0 ? 2 : 1);
      const secret = { ...of, sealed: `sealed ${sealVersion}`, sealVersion, createdAt: start, updatedAt: start };
      this.#refused(await this.#pair.ask(({ previews }) => previews.writeSecret({ secret, change })));
    }
    await this.#pair.ask(({ previews }) => previews.secrets(org, of));
  }

  async #delete(): Promise<void> {
    const { id, projectId, repoId } = this.#app();
    const { code } = await this.#random.pick<() => Promise<{ code?: string }>>([
      () => this.#pair.do((client) => client.deployments.apps.delete(id)),
      () => this.#pair.do((client) => client.deployments.apps.delete(id)),
      () => this.#pair.do((client) => client.deployments.repos.delete(repoId)),
      () => this.#pair.do((client) => client.projects.delete(projectId)),
      async () => {
        const { org } = this.#pair;
        const preview = this.#preview();
        const { found } = await this.#pair.ask(({ deployments }) => deployments.getEnvironment(org, preview));
        if (found === null) return {};
        const change = this.#change();
        const command = { environment: found, change };
        this.#refused(await this.#pair.ask(({ deployments }) => deployments.deleteEnvironment(command)));
        return {};
      },
    ])();
    if (code !== undefined) this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  async step(): Promise<void> {
    const random = this.#random;
    const { org } = this.#pair;
    const pair = this.#pair;
    switch (random.integer(14)) {
      case 0:
        return this.#makeApp();
      case 1:
      case 2:
      case 3:
        return this.#create();
      case 4:
      case 5:
      case 6:
        return this.#write();
      case 7: {
        const id = this.#preview();
        const { found } = await pair.ask(({ previews }) => previews.facts(org, id));
        const version = (found?.preview.version ?? 1) - (random.integer(4) === 0 ? 1 : 0);
        await pair.ask(({ previews }) => previews.countTry(org, id, version));
        const step = {
          projectEnvironmentId: id,
          generation: (found?.preview.generation ?? 1) - random.integer(2),
          step: random.pick(previewSteps),
          result: random.pick([null, 'comment']),
          at: start,
        };
        await pair.ask(({ previews }) => previews.keepStep(org, step));
        return;
      }
      case 8:
        return this.#secret();
      case 9:
        return random.integer(2) === 0 ? this.#delete() : undefined;
      case 10: {
        const deliveryId = random.pick(['a', 'A', 'a#b', 'a%23b', 'é']);
        const now = after(random.integer(1_000));
        await pair.ask(({ previews }) => previews.knowsDelivery(org, deliveryId, now));
        const expiresAt = after(random.integer(1_000));
        await pair.ask(({ previews }) => previews.keepDelivery(org, deliveryId, expiresAt));
        return;
      }
      case 11: {
        const key = { type: 'app', id: this.#app().id } as const;
        const generation = 1 + random.integer(3);
        const id = this.#id();
        await pair.ask(({ dataKeys }) =>
          dataKeys.add(org, {
            id,
            scope: key,
            generation,
            wrapped: 'wrapped',
            wrappedBy: 'one',
            commitment: 'commitment',
            version: 1,
            createdAt: start,
            updatedAt: start,
          }),
        );
        await pair.ask(({ dataKeys }) => dataKeys.ofScope(org, key));
        return;
      }
      case 12: {
        const [message] = await pair.ask(({ previews }) => previews.unsent(org, { limit: 3, after: null }));
        if (message === undefined) return;
        const sequence = message.sequence - (random.integer(3) === 0 ? 1 : 0);
        await pair.ask(({ previews }) => previews.sent(org, { ...message, sequence }));
        return;
      }
      default:
        return this.look();
    }
  }

  /** Everything that can be read. */
  async look(): Promise<void> {
    const random = this.#random;
    const pair = this.#pair;
    const { org } = pair;
    const { id: appId, projectId, repoId } = this.#app();
    const status = random.pick([undefined, ...previewStatuses]);
    const filter = status === undefined ? { appId } : { appId, status };
    const limit = 1 + random.integer(4);
    await this.#pages((place: PreviewPosition | null) =>
      pair.ask(({ previews }) => previews.list(org, filter, { limit, after: place })),
    );
    const now = after(random.integer(1_000));
    const askedBy = random.pick([null, after(random.integer(1_000))]);
    await this.#batches(
      limit,
      ({ id }: StoredPreview) => id,
      (behind) => pair.ask(({ previews }) => previews.due(org, { now, askedBy, limit, after: behind })),
    );
    await this.#batches(
      limit,
      ({ projectEnvironmentId }: QueueMessage) => projectEnvironmentId,
      (behind) => pair.ask(({ previews }) => previews.unsent(org, { limit, after: behind })),
    );
    const page = { limit: 100, after: null };
    const branch = random.pick(branches);
    await pair.ask(({ deployments }) => deployments.listEnvironments(org, { projectId }, page));
    await pair.ask(({ deployments }) => deployments.listByBranch(org, { repoId, branch }, page));
    await pair.ask(({ deployments }) => deployments.due(org, { now, limit: 100, after: null }));
    const id = this.#preview();
    await pair.ask(({ previews }) => previews.facts(org, id));
    await pair.ask(({ deployments }) => deployments.latest(org, id));
    await pair.ask(({ deployments }) => deployments.history(org, id, page));
    const environment = random.pick(names);
    await pair.ask(({ previews }) => previews.askFacts(org, { appId, environment }));
  }

  async #pages(read: (after: PreviewPosition | null) => Promise<StoredPage<StoredPreview> | null>): Promise<void> {
    let last: PreviewPosition | null = null;
    for (let page = await read(last); page?.more === true; page = await read(last)) last = page.items.at(-1)!;
  }

  async #batches<T>(
    limit: number,
    idOf: (item: T) => string,
    read: (after: string | null) => Promise<readonly T[]>,
  ): Promise<void> {
    for (let batch = await read(null); batch.length === limit;) batch = await read(idOf(batch.at(-1)!));
  }

  async begin(): Promise<void> {
    for (let i = 0; i < 4; i++) await this.#makeApp();
  }
}

/** The steps of a run have no order. */
function inOrder(answer: unknown): unknown {
  const { found } = (answer ?? {}) as { readonly found?: Partial<PreviewFacts> | null };
  if (found?.steps === undefined) return answer;
  const steps = [...found.steps].sort((a, b) => (a.step < b.step ? -1 : 1));
  return { ...(answer as object), found: { ...found, steps } };
}

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] the port of previews', () => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    test.each([
      [1, 0],
      [2, 0],
      [3, 0.2],
    ])(
      `answers as memory storage does, whatever is asked (seed %i, %d conflicts)`,
      { timeout: 180_000 },
      async (seed, share) => {
        const client = clientAt(engine.url);
        injectConflicts(client, share);
        const storages = [memoryStorage(), dynamodbStorage({ client, table: bench.table })];
        const pair = new Pair(storages, `like-${seed}`);
        const worker = new Worker(pair, seed);
        await worker.begin();
        for (let step = 0; step < steps; step++) {
          await worker.step();
          if (step % 25 === 0) await worker.look();
        }
        client.destroy();
        expect(pair.answers).toBeGreaterThan(steps);
        for (const what of ['done', 'stale', 'key_taken', 'has_live_previews']) {
          expect([what, (worker.refusals.get(what) ?? 0) > 0]).toEqual([what, true]);
        }
      },
    );
  });
});
