import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { err, IllegalTransition, legalBuildEvents, ok, ResultAsync } from '@vivarium/core';
import type { Build, Builds, ErrorOf, Result } from '@vivarium/core';

import { readPackerLine } from './events.ts';
import type { PackerEvent } from './events.ts';
import { FailureWatch } from './failures.ts';
import type { PackerFailure } from './failures.ts';
import { linesOf } from './lines.ts';
import { milestoneIn, packerMilestones, planned } from './milestones.ts';
import type { PackerMilestone } from './milestones.ts';

/** Which run to follow, and on which build to tell of it. */
export interface PackerFollowing {
  /** `client.builds`: it is told in this client's name. */
  readonly builds: Builds;
  /** A build that is pending, or running: one that failed has to be resumed first. */
  readonly buildId: string;
  /** What `packer build -machine-readable` prints on its standard output. */
  readonly output: AsyncIterable<string | Uint8Array>;
  /** Where a run stands by what it says; `packerMilestones` when not given. */
  readonly milestones?: readonly PackerMilestone[] | undefined;
  /** The one builder that the build is about, of a template with several: `amazon-ebs.base`. Others may fail. All of them when not given. */
  readonly target?: string | undefined;
  /** The file that the `manifest` post-processor writes; read when the run has ended well. None is attached when not given. */
  readonly manifest?: string | undefined;
  /** Packer's exit code, where the host knows it; a run that ends without a word is then told apart from one that was killed. */
  readonly exitCode?: Promise<number | null> | undefined;
  /** Milliseconds between signs of life while Packer has something to say: 30,000. A silent Packer gives none. */
  readonly heartbeatEveryMs?: number | undefined;
  /** Sees every line of the format as it comes. What it throws ends the following. */
  readonly onEvent?: ((event: PackerEvent) => void) | undefined;
}

/** How a run ended. */
export interface PackerRun {
  readonly build: Build;
  /** Why it failed; `null` when it did not. */
  readonly failure: PackerFailure | null;
  /** What the run made, of the builder that was followed. */
  readonly artifacts: readonly PackerArtifact[];
}

/** Something that a builder made. */
export interface PackerArtifact {
  readonly target: string | null;
  /** `us-east-1:ami-0123`; empty for builders that give none. */
  readonly id: string;
}

/** What can come in the way: most often `illegal_transition`, for a build that was canceled or swept in the meantime. */
export type PackerFollowError = ErrorOf<
  | 'builds.get'
  | 'builds.heartbeat'
  | 'builds.attachPackerManifest'
  | 'builds.states.enter'
  | 'builds.states.complete'
  | 'builds.states.fail'
>;

/**
 * Follows a run of Packer to its end: enters milestones as it gets to them, gives signs of life, and then either attaches the manifest and completes the
 * build, or fails it with what went wrong, and in which component. Trouble with the storage on the way is made up for by the next milestone; at the end it
 * is tried again for a minute.
 *
 * When the build has been canceled or failed by others, the answer is that error, and the host should stop Packer.
 *
 * @example
 * const packer = spawn('packer', ['build', '-machine-readable', 'base.pkr.hcl'], { stdio: ['ignore', 'pipe', 'inherit'] });
 * const exitCode = once(packer, 'exit').then(([code]) => code);
 * const run = await followPacker({ builds, buildId, output: packer.stdout, exitCode, manifest: 'packer-manifest.json' });
 */
export function followPacker(following: PackerFollowing): ResultAsync<PackerRun, PackerFollowError> {
  return new ResultAsync(follow(following));
}

async function follow(following: PackerFollowing): Promise<Result<PackerRun, PackerFollowError>> {
  const { builds, buildId, output, target, onEvent, heartbeatEveryMs = 30_000 } = following;
  const milestones = following.milestones ?? packerMilestones;
  const found = await builds.get(buildId);
  if (found.isErr()) return err(found.error);

  const { status } = found.value;
  if (status !== 'pending' && status !== 'running') {
    return err(new IllegalTransition('build', status, 'followPacker', legalBuildEvents(status)));
  }

  const progress = new Progress(builds, found.value);
  const watch = new FailureWatch(target);
  const artifacts: PackerArtifact[] = [];
  const begun = await progress.reach(0);
  if (begun.isErr()) return err(begun.error);

  let alive = performance.now();
  for await (const line of linesOf(output)) {
    const event = readPackerLine(line);
    if (event === null) continue;
    onEvent?.(event);
    watch.see(event);
    if (event.type === 'artifact' && event.part === 'id' && (target === undefined || event.target === target)) {
      artifacts.push({ target: event.target, id: event.values.join(',') });
    }

    const state = event.type === 'message' && !watch.failing ? milestoneIn(event, milestones) : null;
    const told = state === null ? null : await progress.reach(state);
    if (told?.isErr() === true) return err(told.error);
    if (told?.isOk() === true && told.value) alive = performance.now();
    if (performance.now() - alive < heartbeatEveryMs) continue;
    const beaten = await builds.heartbeat(buildId);
    if (beaten.isErr() && beaten.error.code !== 'storage_failure') return err(beaten.error);
    alive = performance.now();
  }

  const verdict = watch.verdict((await following.exitCode) ?? null);
  const attached = verdict === null ? await attachManifest(following) : ok(verdict);
  if (attached.isErr()) return err(attached.error);
  const failure = attached.value;
  const ended =
    failure === null ? await progress.complete() : await persistently(() => builds.states.fail(buildId, failure));
  return ended.map((build) => ({ build, failure, artifacts }));
}

/** Where the build stands, and how it gets further. */
class Progress {
  readonly #builds: Builds;
  #build: Build;

  constructor(builds: Builds, build: Build) {
    this.#builds = builds;
    this.#build = build;
  }

  /** Enters the milestone of the plan for this state, if it lies ahead. Says whether it did: storage may be away for a while. */
  async reach(state: number): Promise<Result<boolean, PackerFollowError>> {
    const milestone = planned(this.#build.milestones, Math.min(state, 99));
    const ahead = milestone !== null && (this.#build.attempts === 0 || milestone > this.#build.currentState);
    if (!ahead) return ok(false);
    const entered = await this.#builds.states.enter(this.#build.id, { state: milestone });
    if (entered.isErr()) return entered.error.code === 'storage_failure' ? ok(false) : err(entered.error);
    this.#build = entered.value;
    return ok(true);
  }

  /** Enters the last milestone, unless that is where a resumed build stands again, and completes it. */
  async complete(): Promise<Result<Build, PackerFollowError>> {
    const { id, currentState } = this.#build;
    const { states } = this.#builds;
    if (currentState < 100) {
      const entered = await persistently(() => states.enter(id, { state: 100 }));
      if (entered.isErr()) return entered;
    }
    return persistently(() => states.complete(id, { state: 100 }));
  }
}

/** Attaches what Packer wrote. A run without the manifest that it should have is a failed one. */
async function attachManifest({
  builds,
  buildId,
  manifest,
}: PackerFollowing): Promise<Result<PackerFailure | null, PackerFollowError>> {
  if (manifest === undefined) return ok(null);
  const text = await readFile(manifest, 'utf8').catch(() => null);
  if (text === null) return ok(refused(`${basename(manifest)} cannot be read`));
  const attached = await persistently(() => builds.attachPackerManifest(buildId, text));
  if (attached.isOk()) return ok(null);
  const { error } = attached;
  return error.code === 'invalid_input' ? ok(refused(`${basename(manifest)}: ${error.message}`)) : err(error);
}

function refused(errorMessage: string): PackerFailure {
  const errorDetails = { errors: [], exitCode: null };
  return { failureType: 'manifest_refused', component: 'manifest', errorMessage, errorDetails };
}

/** The end of a run is told once, and nothing after it makes up for it. */
async function persistently<T>(call: () => ResultAsync<T, PackerFollowError>): Promise<Result<T, PackerFollowError>> {
  for (let wait = 250; ; wait *= 2) {
    const result = await call();
    if (result.isOk() || result.error.code !== 'storage_failure' || !result.error.retryable || wait > 32_000) {
      return result;
    }
    await pause(wait);
  }
}
