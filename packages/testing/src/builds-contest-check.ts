import { isDeepStrictEqual } from 'node:util';
import { legalBuildEvents, unwrap } from '@vivarium/core';
import type { Build, BuildFailure, BuildState, Client, JournalEntry } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';

import type { Contest, Done } from './builds-contest.ts';
import { counted, wholeOf } from './builds-stats.ts';
import type { Whole } from './builds-stats.ts';
import { everything } from './paging.ts';

/** The plan of every build in the contest. */
export const contestMilestones = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];

/** What is wrong with the builds of an org after a contest, in words; nothing when all promises were kept. */
export async function checkContest(
  storage: Storage<unknown>,
  client: Client<unknown>,
  org: string,
  contest: Contest,
): Promise<string[]> {
  const all = await wholeOf(client);
  const violations: string[] = [];
  const say = (about: string, problems: readonly string[]) =>
    violations.push(...problems.map((one) => `${about}: ${one}`));

  for (const whole of all) {
    const { id } = whole.build;
    const journal = (
      await everything((page) => client.journal.list({ subject: { type: 'build', id }, ...page }))
    ).toReversed();
    const done = contest.done.filter(({ buildId }) => buildId === id);
    say(id, [
      ...historyProblems(whole),
      ...timeProblems(whole),
      ...failureProblems(whole),
      ...journalProblems(whole, journal),
      ...doneProblems(whole.build, done),
      ...(await readingProblems(storage, client, org, whole)),
    ]);
  }
  const started = contest.builds.toSorted();
  say('the list', [
    ...unless(
      isDeepStrictEqual(all.map(({ build }) => build.id).toSorted(), started),
      'has not all builds that were started, once each',
    ),
    ...unless(new Set(all.map(({ build }) => build.buildNumber)).size === all.length, 'has a number twice'),
  ]);
  const failures = await everything((page) => client.builds.listFailures(page));
  const ids = new Set(all.flatMap((one) => one.failures.map((failure) => failure.id)));
  say(
    'the failures',
    unless(failures.length === ids.size && failures.every(({ id }) => ids.has(id)), 'are not those of the builds'),
  );
  say('the figures', await figureProblems(client, all));
  say('the keys', await keyProblems(client, contest));
  return violations;
}

/** Attempts in a row, states that never fall, retries counted, and one attempt open where something is under way. */
function historyProblems({ build, states }: Whole): readonly string[] {
  const last = states.at(-1);
  const open = states.filter(({ status }) => status === 'started');
  const { status } = build;
  return [
    ...unless(build.attempts === states.length, `counts ${build.attempts} attempts and has ${states.length}`),
    ...states.flatMap((one, index) => {
      const before = states[index - 1];
      const retries = states.slice(0, index).filter(({ state }) => state === one.state).length;
      return [
        ...unless(one.sequence === index + 1, `attempt ${index + 1} has the sequence ${one.sequence}`),
        ...unless(contestMilestones.includes(one.state), `was at ${one.state}, which is no milestone`),
        ...unless(before === undefined || one.state >= before.state, `went back from ${before?.state} to ${one.state}`),
        ...unless(one.retryCount === retries, `attempt ${index + 1} is retry ${retries}, not ${one.retryCount}`),
        ...unless(
          one.status !== 'canceled' || index === states.length - 1,
          `attempt ${index + 1} was canceled, and there is one behind it`,
        ),
        ...unless(
          one.status === 'failed' || one.errorMessage === null,
          `attempt ${index + 1} has an error and has not failed`,
        ),
      ];
    }),
    ...unless((last?.state ?? 0) === build.currentState, `is at ${build.currentState}, its history at ${last?.state}`),
    ...unless(
      (last?.retryCount ?? 0) === build.retryCount,
      `is at retry ${build.retryCount}, its history at ${last?.retryCount}`,
    ),
    ...unless(open.length <= 1 && (open.length === 0 || open[0] === last), 'has an attempt open that is not its last'),
    ...unless(open.length === 0 || status === 'running', `is ${status} and has an attempt open`),
    ...unless(
      status !== 'running' || last?.status === 'started' || last?.status === 'completed',
      `runs, and its last attempt is ${last?.status}`,
    ),
    ...unless(
      (status === 'completed') ===
        (last?.state === 100 && last.status === 'completed' && status !== 'failed' && status !== 'canceled'),
      `is ${status} with ${last?.status} at ${last?.state}`,
    ),
    ...unless(last?.status !== 'canceled' || status === 'canceled', `is ${status}, its last attempt canceled`),
    ...unless(status !== 'pending' || states.length === 0, 'is pending and has a history'),
  ];
}

/** Attempts that do not overlap, and durations that add up to the build's. */
function timeProblems({ build, states }: Whole): readonly string[] {
  const { startTime, endTime } = build;
  let between = 0;
  const problems = states.flatMap((one, index) => {
    const before = states[index - 1];
    const gap = one.startTime.getTime() - (before?.endTime ?? startTime ?? one.startTime).getTime();
    between += gap;
    const took = one.endTime === null ? null : one.endTime.getTime() - one.startTime.getTime();
    return [
      ...unless(gap >= 0, `attempt ${index + 1} begins ${-gap} ms before what was there before it`),
      ...unless(took === null || took >= 0, `attempt ${index + 1} took ${took} ms`),
      ...unless(one.durationMs === took, `attempt ${index + 1} says ${one.durationMs} ms and took ${took}`),
      ...unless(
        (one.endTime === null) === (one.status === 'started'),
        `attempt ${index + 1} is ${one.status} and ends at ${String(one.endTime)}`,
      ),
    ];
  });
  const ended = ['failed', 'completed', 'canceled'].includes(build.status);
  const rest = endTime === null ? 0 : endTime.getTime() - (states.at(-1)?.endTime ?? endTime).getTime();
  const worked = states.reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);
  return [
    ...problems,
    ...unless((endTime !== null) === ended, `is ${build.status} and ends at ${String(endTime)}`),
    ...unless(rest >= 0, `ended ${-rest} ms before its last attempt`),
    ...unless(startTime?.getTime() === states[0]?.startTime.getTime(), 'does not start with its first attempt'),
    ...unless(
      build.durationMs === null ? startTime === null || endTime === null : build.durationMs === worked + between + rest,
      `took ${build.durationMs} ms, its attempts ${worked}, the time between ${between}, after them ${rest}`,
    ),
  ];
}

/** No failure without an attempt that failed, or was completed before; no failed attempt without a failure. */
function failureProblems({ build, states, failures }: Whole): readonly string[] {
  const of = ({ state, retryAttempt }: BuildFailure) =>
    states.find((attempt) => attempt.state === state && attempt.retryCount === retryAttempt);
  const ofAttempt = ({ state, retryCount }: BuildState) =>
    failures.filter((failure) => failure.state === state && failure.retryAttempt === retryCount);
  return [
    ...failures.flatMap((failure) => {
      const attempt = of(failure);
      const after = attempt?.status === 'completed' && failure.createdAt >= attempt.endTime!;
      const by = attempt?.status === 'failed' && attempt.errorMessage === failure.errorMessage;
      return unless(by || after, `has the failure ${failure.errorMessage} of an attempt that is ${attempt?.status}`);
    }),
    ...states.flatMap((attempt, index) => {
      const count = ofAttempt(attempt).length;
      return [
        ...unless(count <= 1, `attempt ${index + 1} has ${count} failures`),
        ...unless(attempt.status !== 'failed' || count === 1, `attempt ${index + 1} has failed without a failure`),
        ...unless(
          attempt.retryCount === 0 || ofAttempt(states[index - 1]!).length === 1,
          `attempt ${index + 1} is a retry of what has not failed`,
        ),
      ];
    }),
    ...unless(
      build.status !== 'failed' || (states.length > 0 && ofAttempt(states.at(-1)!).length === 1),
      'is failed without a failure',
    ),
    ...unless(
      build.status !== 'running' || states.length === 0 || ofAttempt(states.at(-1)!).length === 0,
      'runs, and its last attempt has a failure',
    ),
  ];
}

/** One entry for every version, in which the state never falls; as many of each kind as the history has. */
function journalProblems({ build, states, failures }: Whole, journal: readonly JournalEntry[]): readonly string[] {
  const bySequence = journal.toSorted((a, b) => a.sequence - b.sequence);
  const count = (...actions: readonly string[]) => bySequence.filter(({ action }) => actions.includes(action)).length;
  const told = bySequence
    .filter(({ action }) => action !== 'build.manifest_attached')
    .map(({ data }) => data['state'] as number);
  return [
    ...unless(
      isDeepStrictEqual(
        bySequence.map(({ sequence }) => sequence),
        Array.from({ length: build.version }, (_, index) => index + 1),
      ),
      `is at version ${build.version}, its journal has ${bySequence.map(({ sequence }) => sequence).join()}`,
    ),
    ...unless(count('build.started') === 1, 'was not started once'),
    ...unless(count('build.state_entered', 'build.resumed') === states.length, 'has an attempt that nobody began'),
    ...unless(
      count('build.failed') === failures.length,
      `has ${failures.length} failures and failed ${count('build.failed')} times`,
    ),
    ...unless(
      count('build.canceled') === (build.status === 'canceled' ? 1 : 0),
      'is not as often canceled as its status says',
    ),
    ...unless(
      told.every((state, index) => index === 0 || state >= told[index - 1]!),
      `went back by its journal: ${told.join()}`,
    ),
    ...unless(
      bySequence.findLast(({ data }) => 'status' in data)?.data['status'] === build.status,
      'is in another status than its journal',
    ),
  ];
}

/** What was answered is what was done: as many commands succeeded as there are versions, and no two made the same one. */
function doneProblems(build: Build, done: readonly Done[]): readonly string[] {
  const made = done.filter(({ method }) => method !== 'heartbeat');
  const versions = made.flatMap(({ key, answer }) => (key === undefined && answer !== null ? [answer.version] : []));
  return [
    ...unless(made.length === build.version, `is at version ${build.version}, and ${made.length} commands succeeded`),
    ...unless(new Set(versions).size === versions.length, 'gave two commands the same version'),
    ...unless(
      versions.every((version) => version <= build.version),
      'answered a version that it never had',
    ),
  ];
}

/** The same, whichever way it is read. */
async function readingProblems(
  storage: Storage<unknown>,
  client: Client<unknown>,
  org: string,
  { build, states, failures }: Whole,
) {
  const { packerManifest: _packerManifest, ...read } = await unwrap(client.builds.get(build.id));
  const numbered = await unwrap(client.builds.getByNumber(build.buildNumber));
  const { found } = await unwrap(storage.builds.get(org, build.id));
  const open = states.find(({ status }) => status === 'started');
  const plan = await unwrap(client.builds.planResume(build.id));
  const completed = new Set(states.filter(({ status }) => status === 'completed').map(({ state }) => state));
  return [
    ...unless(isDeepStrictEqual(read, build), 'is read in another way than it is listed'),
    ...unless(numbered.id === build.id, 'is not found by its number'),
    ...unless(found?.attemptStartedAt?.getTime() === open?.startTime.getTime(), 'does not know what is under way'),
    ...unless(plan.resumable === legalBuildEvents(build.status).includes('resume'), 'plans what it cannot do'),
    ...unless(
      isDeepStrictEqual(
        [...plan.completed],
        contestMilestones.filter((state) => completed.has(state)),
      ),
      'plans with what was not completed',
    ),
    ...unless(
      plan.unresolvedFailures === failures.filter(({ resolved }) => !resolved).length,
      'counts its open failures wrongly',
    ),
    ...unless(plan.lastFailure?.id === failures[0]?.id, 'does not know its last failure'),
    ...unless(
      failures.every(
        ({ resolved, resolvedAt, resolutionNotes }) => resolved === (resolvedAt !== null && resolutionNotes !== null),
      ),
      'has a failure resolved by half',
    ),
  ];
}

async function figureProblems(client: Client<unknown>, all: readonly Whole[]): Promise<readonly string[]> {
  const bare = ({ total, byStatus, successRate, states, failures }: ReturnType<typeof counted>) => ({
    total,
    byStatus,
    successRate,
    failures,
    states: states.map(({ state, attempts, completed, failed }) => ({ state, attempts, completed, failed })),
  });
  const [stats, expected] = [bare(await unwrap(client.builds.stats())), bare(counted(all))];
  return unless(isDeepStrictEqual(stats, expected), `${JSON.stringify(stats)} are not ${JSON.stringify(expected)}`);
}

/** What was done under a key is not done again, by whomever. */
async function keyProblems(client: Client<unknown>, { done }: Contest): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { method, key, buildId, repeat } of done.filter((one) => one.key !== undefined).slice(-200)) {
    const before = await unwrap(client.builds.get(buildId!));
    const answer = await repeat(client);
    if (answer.isErr()) problems.push(`${method} under ${key} is ${answer.error.code} when it is sent again`);
    const after = await unwrap(client.builds.get(buildId!));
    if (after.version !== before.version) problems.push(`${method} under ${key} was done again`);
  }
  return problems;
}

function unless(holds: boolean, problem: string): readonly string[] {
  return holds ? [] : [problem];
}
