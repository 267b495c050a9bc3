import { describe, expect, it } from 'vitest';

import {
  deployedStatuses,
  deploymentEvents,
  deploymentLifecycle,
  deploymentStatuses,
  legalDeploymentEvents,
  openDeploymentStatuses,
} from '../../src/deployments/lifecycle.ts';
import type { DeploymentEvent, DeploymentStatus } from '../../src/deployments/lifecycle.ts';
import { isOverdue } from '../../src/deployments/model.ts';
import { report, rollBack, start } from '../../src/deployments/rules.ts';
import { at, by, deploymentOf, environment, later } from './making.ts';

describe('the life of a deployment', () => {
  it('is this table', () => {
    const arrows = deploymentEvents.flatMap((event) => {
      const { from, to, late } = deploymentLifecycle[event];
      return from.map((status) => `${status} -${event}-> ${[to, late].filter(Boolean).join(' | ')}`);
    });
    expect(arrows).toEqual([
      'created -running-> running',
      'running -success-> success | superseded',
      'created -failed-> failed',
      'running -failed-> failed',
      'created -canceled-> canceled',
      'running -canceled-> canceled',
      'success -replaced-> inactive',
    ]);
  });

  it('reaches every status from the start, and ends: nothing that was left comes back', () => {
    const after = (status: DeploymentStatus): DeploymentStatus[] =>
      deploymentEvents
        .map((event) => deploymentLifecycle[event])
        .filter(({ from }) => from.includes(status))
        .flatMap(({ to, late }) => (late === undefined ? [to] : [to, late]));
    const reached = new Set<DeploymentStatus>();
    const follow = (status: DeploymentStatus, path: readonly DeploymentStatus[]): void => {
      expect(path).not.toContain(status);
      reached.add(status);
      for (const next of after(status)) follow(next, [...path, status]);
    };
    follow('created', []);
    expect(reached).toEqual(new Set(deploymentStatuses));
  });

  it('is open while something can be reported, and was deployed where it succeeded at some time', () => {
    for (const status of deploymentStatuses) {
      expect([status, legalDeploymentEvents(status).length > 0]).toEqual([status, openDeploymentStatuses.has(status)]);
      expect(legalDeploymentEvents(status)).not.toContain('replaced');
      expect([status, rollBack(environment(), deploymentOf(status), by, { id: 'n', at: later }).isOk()]).toEqual([
        status,
        deployedStatuses.has(status),
      ]);
    }
    expect(legalDeploymentEvents('created')).toEqual(['running', 'failed', 'canceled']);
    expect(legalDeploymentEvents('running')).toEqual(['success', 'failed', 'canceled']);
  });

  const pairs = deploymentStatuses.flatMap((status) =>
    deploymentEvents
      .filter((event): event is Exclude<DeploymentEvent, 'replaced'> => event !== 'replaced')
      .flatMap((event) => [false, true].map((late) => ({ status, event, late }))),
  );

  it.each(pairs)('$status, $event, late: $late', ({ status, event, late }) => {
    const deployment = deploymentOf(status);
    const active = late ? deploymentOf('success', { id: 'the later one', sequence: 9 }) : null;
    const place = environment({ activeDeployment: active?.id ?? null, activeSequence: late ? 9 : 0 });
    const told = report(place, deployment, active, event, {}, later);
    const { from, to, late: otherwise } = deploymentLifecycle[event];
    const again = status === to || (event === 'success' && deployedStatuses.has(status));
    if (again) return expect(told._unsafeUnwrap()).toBe(null);
    if (!from.includes(status)) {
      return expect(told._unsafeUnwrapErr()).toMatchObject({
        code: 'illegal_transition',
        state: status,
        legal: legalDeploymentEvents(status),
      });
    }
    const move = told._unsafeUnwrap()!;
    const lands = late && otherwise !== undefined ? otherwise : to;
    expect(move.deployment).toEqual({
      ...deployment,
      status: lands,
      startedAt: event === 'running' ? later : deployment.startedAt,
      endedAt: openDeploymentStatuses.has(lands) ? null : later,
      updatedAt: later,
    });
    const live = lands === 'success' && { activeDeployment: deployment.id, activeSequence: deployment.sequence };
    expect(move.environment).toEqual({ ...place, ...live, version: place.version + 1, updatedAt: later });
    return expect(move.replaced).toBe(null);
  });
});

describe('what is live', () => {
  it('is replaced by what started after it and succeeded', () => {
    const active = deploymentOf('success', { id: 'before', sequence: 2, url: 'https://example.com' });
    const place = environment({ activeDeployment: 'before', activeSequence: 2 });
    const move = report(place, deploymentOf('running', { sequence: 3 }), active, 'success', {}, later)._unsafeUnwrap()!;
    expect(move.replaced).toEqual({ ...active, status: 'inactive', updatedAt: later });
    expect(move.environment).toMatchObject({
      activeDeployment: 'deployment',
      activeSequence: 3,
      latestDeployment: null,
    });
  });

  it('stays when what it replaced, or what came too late, is reported once more with something new', () => {
    const active = deploymentOf('success', { id: 'live', sequence: 9 });
    const place = environment({ activeDeployment: 'live', activeSequence: 9 });
    for (const status of ['inactive', 'superseded'] as const) {
      const said = { url: 'https://example.com/', description: null };
      const move = report(place, deploymentOf(status), active, 'success', said, later)._unsafeUnwrap()!;
      expect(move.deployment).toEqual({ ...deploymentOf(status), url: 'https://example.com/', updatedAt: later });
      expect(move.environment).toEqual({ ...place, version: place.version + 1, updatedAt: later });
      expect(move.replaced).toBe(null);
    }
  });
});

describe('a start', () => {
  it('is the next of its environment, and the latest at once', () => {
    const place = environment({ deploymentSequence: 4, latestDeployment: 'four', activeDeployment: 'one', version: 7 });
    const wanted = { gitRef: 'main', sha: 'a'.repeat(40), timeoutMs: 5_000, configuration: null };
    const move = start(place, wanted, by, { id: 'five', at });
    expect(move.environment).toEqual({ ...place, deploymentSequence: 5, latestDeployment: 'five', version: 8 });
    expect(move.deployment).toMatchObject({ id: 'five', sequence: 5, status: 'created', rollbackOf: null });
    expect(move.deployment.deadline).toEqual(new Date(at.getTime() + 5_000));
    expect(move.replaced).toBe(null);
    const { deadline } = start(place, { ...wanted, timeoutMs: undefined }, by, { id: 'x', at }).deployment;
    expect(deadline).toEqual(new Date(at.getTime() + 3_600_000));
  });

  it('is overdue from its deadline on, and only while it is open', () => {
    const moment = (ms: number) => new Date(at.getTime() + ms);
    for (const status of deploymentStatuses) {
      const deployment = deploymentOf(status, { deadline: moment(10) });
      expect(isOverdue(deployment, moment(9))).toBe(false);
      expect([status, isOverdue(deployment, moment(10))]).toEqual([status, openDeploymentStatuses.has(status)]);
    }
  });

  it('that goes back takes over what was deployed, with as much time', () => {
    const configuration = { environmentId: 'e', version: 3, digest: 'd' };
    const of = { gitRef: 'v1', description: 'one', configuration, url: 'https://example.com', deadline: later };
    const place = environment({ deploymentSequence: 6 });
    const { deployment } = rollBack(place, deploymentOf('inactive', of), by, { id: 'n', at: later })._unsafeUnwrap();
    expect(deployment).toMatchObject({
      id: 'n',
      sequence: 7,
      status: 'created',
      gitRef: 'v1',
      description: 'one',
      configuration,
      url: null,
      rollbackOf: 'deployment',
      deadline: new Date(later.getTime() + (later.getTime() - at.getTime())),
    });
  });
});
