import { unwrap } from '@vivarium/core';
import type { JournalEntry, Method } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { buildEntries } from './builds-journal.ts';
import { deploymentEntries } from './deployments-journal.ts';
import { everyCall, everyCommand, everyCommandMethod } from './every-call.ts';
import type { CommandMethod } from './every-call.ts';
import { ephemeralEntries } from './ephemeral-journal.ts';
import { fakeClock } from './fake-clock.ts';
import { allPages, everything } from './paging.ts';
import { previewEntries } from './previews-journal.ts';
import type { Suite } from './suite.ts';
import { makeWorld, makeWorldFor } from './world.ts';
import type { World } from './world.ts';

export interface Expected {
  readonly action: string;
  readonly subject:
    | 'project'
    | 'environment'
    | 'environment_type'
    | 'instance'
    | 'platform'
    | 'os_version'
    | 'image_type'
    | 'milestone_plan'
    | 'build'
    | 'build_failure'
    | 'repo'
    | 'app'
    | 'project_environment';
  /** `null`: moves no version, and is a stream of its own. */
  readonly sequence: number | null | ((world: World) => number);
  /** `null`: something new, which has an id of its own. */
  readonly id: (world: World) => string | null;
  readonly data: (world: World) => object;
}

/** What each command of a world writes into the journal. */
const entries: Readonly<Record<CommandMethod, Expected>> = {
  ...ephemeralEntries,
  ...buildEntries,
  ...deploymentEntries,
  ...previewEntries,
  'projects.create': {
    action: 'project.created',
    subject: 'project',
    sequence: 1,
    id: () => null,
    data: () => ({ name: 'Second', environments: 1 }),
  },
  'projects.update': {
    action: 'project.updated',
    subject: 'project',
    sequence: 2,
    id: ({ project }) => project.id,
    data: () => ({ name: 'Renamed' }),
  },
  'projects.move': {
    action: 'project.moved',
    subject: 'project',
    sequence: 2,
    id: ({ child }) => child.id,
    data: ({ project }) => ({ from: project.id, to: null }),
  },
  'projects.delete': {
    action: 'project.deleted',
    subject: 'project',
    sequence: 2,
    id: ({ child }) => child.id,
    data: () => ({ name: 'Child' }),
  },
  'environments.create': {
    action: 'environment.created',
    subject: 'environment',
    sequence: 1,
    id: () => null,
    data: ({ project }) => ({ projectId: project.id, name: 'QA', added: ['HOST'] }),
  },
  'environments.update': {
    action: 'environment.updated',
    subject: 'environment',
    sequence: 2,
    id: ({ staging }) => staging.id,
    data: ({ project }) => ({ projectId: project.id, name: 'Stage' }),
  },
  'environments.setVariables': {
    action: 'environment.variables_changed',
    subject: 'environment',
    sequence: 2,
    id: ({ staging }) => staging.id,
    data: ({ project }) => ({ projectId: project.id, added: ['PORT'], removed: ['HOST'] }),
  },
  'environments.patchVariables': {
    action: 'environment.variables_changed',
    subject: 'environment',
    sequence: 2,
    id: ({ staging }) => staging.id,
    data: ({ project }) => ({ projectId: project.id, added: ['PATH'] }),
  },
  'environments.makeDefault': {
    action: 'environment.made_default',
    subject: 'environment',
    sequence: null,
    id: ({ staging }) => staging.id,
    data: ({ project }) => ({ projectId: project.id, name: 'Staging' }),
  },
  'environments.duplicate': {
    action: 'environment.created',
    subject: 'environment',
    sequence: 1,
    id: () => null,
    data: ({ staging }) => ({ projectId: staging.projectId, name: 'Copy', duplicateOf: staging.id, added: ['HOST'] }),
  },
  'environments.delete': {
    action: 'environment.deleted',
    subject: 'environment',
    sequence: 2,
    id: ({ development }) => development.id,
    data: ({ staging }) => ({ projectId: staging.projectId, name: 'Development', promoted: staging.id }),
  },
};

/** The audit log: one entry for each change, written with it, read newest first. */
export function testJournal(suite: Suite): void {
  describe('journal', () => {
    test.each(everyCommandMethod)('%s: writes one entry that says who did what to what, and when', async (method) => {
      const clock = fakeClock();
      const { org, ada } = suite.inNewOrg({ clock });
      const world = await makeWorldFor(method, ada);
      const before = await everything((page) => ada.journal.list(page));
      clock.advance(5);
      const bob = suite.vivarium({ clock }).as({ org, type: 'service', id: 'bob' });
      const answer = (await unwrap(everyCommand[method].call(bob, world, {}))) as { readonly id?: string } | undefined;

      const [entry, ...rest] = await everything((page) => ada.journal.list(page));
      expect(rest).toEqual(before);
      const expected = entries[method];
      expect(entry).toMatchObject({
        orgId: org,
        action: expected.action,
        subject: { type: expected.subject, id: expected.id(world) ?? answer?.id },
        sequence: typeof expected.sequence === 'function' ? expected.sequence(world) : (expected.sequence ?? 1),
        stream: expected.sequence === null ? entry!.id : entry!.subject.id,
        actor: { type: 'service', id: 'bob' },
        at: clock.now(),
        data: expected.data(world),
      });
    });

    test('reading writes nothing, but for secrets, what is sealed anew and what a runtime says too late', async () => {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const entriesBefore = await suite.harness.raw.count('journal', org);
      const commands: readonly Method[] = everyCommandMethod;
      for (const { method, call } of everyCall) if (!commands.includes(method)) await unwrap(call(ada, world));
      expect(await suite.harness.raw.count('journal', org)).toBe(entriesBefore + 4);
      const latest = (await unwrap(ada.journal.list({ limit: 4 }))).items.map(({ action }) => action);
      expect(latest.toSorted()).toEqual([
        'environment.resealed',
        'instance.secret_read',
        'instance.secret_read',
        'preview.report_ignored',
      ]);
    });

    test('a stream has every version of its subject once, in order', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'A' }, { name: 'B' }] }));
      const { ref } = await unwrap(ada.environments.create({ projectId: project.id, name: 'C' }));
      await unwrap(ada.environments.update(ref, { name: 'D' }));
      await unwrap(ada.environments.setVariables(ref, { variables: [{ key: 'A', value: '1' }] }));
      await unwrap(ada.environments.makeDefault(ref));
      await unwrap(ada.environments.patchVariables(ref, { unset: ['A'] }));
      await unwrap(ada.environments.delete(ref));
      await unwrap(ada.projects.update(project.id, { name: 'Q' }));
      await unwrap(ada.projects.delete(project.id));
      const of = async (type: string, id: string) =>
        (await everything((page) => ada.journal.list({ subject: { type, id }, ...page })))
          .filter(({ stream }) => stream === id)
          .map(({ action, sequence }) => `${sequence} ${action.split('.')[1]}`);
      expect(await of('environment', ref.id)).toEqual([
        '5 deleted',
        '4 variables_changed',
        '3 variables_changed',
        '2 updated',
        '1 created',
      ]);
      expect(await of('project', project.id)).toEqual(['3 deleted', '2 updated', '1 created']);
      const defaults = await unwrap(ada.journal.list({ action: 'environment.made_default' }));
      expect(defaults.items.map(({ stream, id, sequence }) => [stream === id, sequence])).toEqual([[true, 1]]);
    });

    test('every filter holds by itself and together with the others, page by page', async () => {
      const clock = fakeClock('2025-06-01T00:00:00.000Z');
      const org = suite.newOrg();
      const actors = [
        { type: 'user', id: 'ada' },
        { type: 'user', id: 'bob' },
        { type: 'service', id: 'ada' },
      ];
      const clients = actors.map((actor) => suite.vivarium({ clock }).as({ org, ...actor }));
      const project = await unwrap(clients[0]!.projects.create({ name: 'P' }));
      const environment = await unwrap(clients[0]!.environments.getDefault(project.id));
      for (let index = 0; index < 18; index++) {
        if (index % 2 === 0) clock.advance(1_000);
        const client = clients[index % 3]!;
        if (index % 4 < 2) {
          await unwrap(client.environments.patchVariables(environment.ref, { set: [{ key: 'A', value: `${index}` }] }));
        } else await unwrap(client.projects.update(project.id, { description: `${index}` }));
      }
      const all = await everything((page) => clients[0]!.journal.list(page));
      expect(all).toHaveLength(19);
      const [from, to] = [new Date('2025-06-01T00:00:03.000Z'), new Date('2025-06-01T00:00:07.000Z')];
      const filters: readonly [
        Parameters<(typeof clients)[0]['journal']['list']>[0],
        (entry: JournalEntry) => boolean,
      ][] = [
        [{ subject: { type: 'project', id: project.id } }, ({ subject }) => subject.type === 'project'],
        [{ subject: { type: 'environment', id: project.id } }, () => false],
        [{ subject: { type: 'environment', id: environment.id } }, ({ subject }) => subject.id === environment.id],
        [{ action: 'project.updated' }, ({ action }) => action === 'project.updated'],
        [{ action: 'project.update' }, () => false],
        [{ actor: actors[0]! }, ({ actor }) => actor.type === 'user' && actor.id === 'ada'],
        [{ actor: { type: 'user', id: 'ADA' } }, () => false],
        [{ from }, ({ at }) => at >= from],
        [{ to }, ({ at }) => at < to],
        [{ from, to }, ({ at }) => at >= from && at < to],
        [{ from: to, to: from }, () => false],
        [
          {
            subject: { type: 'environment', id: environment.id },
            actor: actors[1]!,
            from,
            to,
            action: 'environment.variables_changed',
          },
          ({ subject, actor, at }) => subject.type === 'environment' && actor.id === 'bob' && at >= from && at < to,
        ],
      ];
      for (const [filter, holds] of filters) {
        for (const limit of [1, 3, 100]) {
          const pages = await allPages((page) => clients[0]!.journal.list({ ...filter, ...page }), limit);
          expect(
            pages.flatMap(({ items }) => items),
            JSON.stringify(filter),
          ).toEqual(all.filter(holds));
        }
      }
      expect(all.filter(filters.at(-1)![1]).length).toBeGreaterThan(0);
    });

    test('newest first: by time, then by id', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      for (let index = 0; index < 12; index++) {
        if (index % 5 === 4) clock.advance(1);
        await unwrap(ada.projects.create({ name: `P ${index}` }));
      }
      const all = await everything((page) => ada.journal.list(page));
      const inOrder = all.toSorted((a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1));
      expect(all).toEqual(inOrder);
      expect(all).toHaveLength(12);
    });

    test('an entry takes at most 1 KB and never holds a value', async () => {
      const { org, ada } = suite.inNewOrg();
      const longest = '𐐀'.repeat(100);
      const variables = Array.from({ length: 100 }, (_, index) => ({
        key: `${index}_`.padEnd(256, 'K'),
        value: `c4n4ry-value-${org}`,
        description: `c4n4ry-value-${org}`,
      }));
      const project = await unwrap(
        ada.projects.create({ name: longest, environments: [{ name: 'E', variables }, { name: 'F' }] }),
      );
      const environment = await unwrap(ada.environments.create({ projectId: project.id, name: longest, variables }));
      await unwrap(ada.environments.setVariables(environment.ref, { variables: variables.slice(0, 50) }));
      const changed = variables.slice(0, 40).map((variable) => ({ ...variable, value: `${variable.value}2` }));
      await unwrap(
        ada.environments.patchVariables(environment.ref, {
          set: [...changed, ...variables.slice(50, 90)],
          unset: [variables[45]!.key],
        }),
      );
      await unwrap(ada.environments.duplicate(environment.ref, { name: longest.slice(2) + 'x' }));
      await unwrap(ada.environments.makeDefault(environment.ref));
      await unwrap(ada.environments.delete(environment.ref));
      const all = await everything((page) => ada.journal.list(page));
      expect(all).toHaveLength(7);
      for (const { data, action } of all) {
        expect(Buffer.byteLength(JSON.stringify(data)), action).toBeLessThanOrEqual(1_024);
        expect(JSON.stringify(data)).not.toContain('c4n4ry');
      }
      await unwrap(ada.projects.delete(project.id));
      expect(await suite.harness.raw.dump()).not.toContain(`c4n4ry-value-${org}`);
    });
  });
}
