import { localKeyring, unwrap } from '@vivarium/core';
import type { Client, EnvironmentRef } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, refused, tally, together } from './answers.ts';
import { fakeClock } from './fake-clock.ts';
import type { Suite, SuiteOptions } from './suite.ts';

const hour = 3_600_000;
const oldKey = `old:${Buffer.alloc(32, 1).toString('base64')}`;
const newKey = `new:${Buffer.alloc(32, 2).toString('base64')}`;

/** Sensitive variables and the data keys that they are sealed with, on the storage under test. */
export function testKeys(suite: Suite): void {
  describe('data keys', () => {
    test('many first writers of a project make one, and each can read what the others wrote', async () => {
      const { org, both } = await onBoth();
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      const made = await together(20, (index) =>
        unwrap(
          both(index).environments.create({ projectId: project.id, name: `E ${index}`, variables: secret(`${index}`) }),
        ),
      );
      expect(await keysOf(org, project.id)).toHaveLength(1);
      for (const [index, { ref }] of made.entries()) expect(await valueOf(both(index + 1), ref)).toBe(`${index}`);
    });

    test('rotation leaves everything readable while others read and write, and forgets the old key in the end', async () => {
      const clock = fakeClock();
      const { org, both } = await onBoth({ clock });
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      const refs: EnvironmentRef[] = [];
      for (let n = 0; n < 6; n++) {
        const input = { projectId: project.id, name: `E ${n}`, variables: secret('first') };
        refs.push((await unwrap(both(n).environments.create(input))).ref);
      }
      const [first] = await keysOf(org, project.id);

      const rotating = async (index: number) => unwrap(both(index).keys.rotate({ projectId: project.id }));
      const writing = async (index: number) => {
        for (let n = 0; n < 4; n++) {
          const set = secret(`${index} ${n}`);
          await unwrap(both(index).environments.patchVariables(refs[index]!, { set }));
        }
      };
      const reading = async (index: number) => {
        for (let n = 0; n < 6; n++) await valueOf(both(index + 1), refs[n]!);
      };
      await Promise.all([
        together(3, rotating),
        together(3, (index) => writing(index)),
        together(3, (index) => reading(index)),
      ]);
      const during = await keysOf(org, project.id);
      expect(during.map(({ generation }) => generation)).toEqual([1, 2]);

      clock.advance(hour - 1);
      expect(await rotating(0)).toMatchObject({ generation: 2, done: false });
      expect(await keysOf(org, project.id)).toHaveLength(2);
      clock.advance(1);
      expect(await rotating(1)).toMatchObject({ generation: 2, done: true, finishAfter: null });
      const [only, ...others] = await keysOf(org, project.id);
      expect(others).toEqual([]);
      expect(only!.id).not.toBe(first!.id);

      const fresh = (await onBoth({ clock }, org)).both(0);
      const values = await Promise.all(refs.map((ref) => valueOf(fresh, ref)));
      expect(values).toEqual(['0 3', '1 3', '2 3', 'first', 'first', 'first']);
    });

    test('are wrapped anew without a look at any value; then the old wrapping key can go', async () => {
      const { org, both } = await onBoth({ keys: localKeyring({ keys: oldKey }) });
      const refs: EnvironmentRef[] = [];
      for (const name of ['P', 'Q', 'R']) {
        const project = await unwrap(
          both(0).projects.create({ name, environments: [{ name: 'E', variables: secret(name) }] }),
        );
        refs.push((await unwrap(both(0).environments.getDefault(project.id))).ref);
      }
      const stored = () =>
        Promise.all(refs.map((ref) => suite.harness.raw.environmentVariables({ orgId: org, ...ref })));
      const before = await stored();

      const after = await onBoth({ keys: localKeyring({ keys: `${newKey} ${oldKey}` }) }, org);
      const answers = await together(4, async (index) => unwrap(after.both(index).keys.rewrap()));
      expect(answers.reduce((sum, { rewrapped }) => sum + rewrapped, 0)).toBe(3);
      expect(await unwrap(after.both(0).keys.rewrap())).toEqual({ rewrapped: 0 });
      expect(await stored()).toEqual(before);

      const withNew = (await onBoth({ keys: localKeyring({ keys: newKey }) }, org)).both(0);
      expect(await Promise.all(refs.map((ref) => valueOf(withNew, ref)))).toEqual(['P', 'Q', 'R']);
      const withOld = (await onBoth({ keys: localKeyring({ keys: oldKey }) }, org)).both(0);
      await refused(withOld.environments.resolve(refs[0]!), 'key_management_failure');
    });

    test('go with their project, and with it alone', async () => {
      const { org, both } = await onBoth();
      const [one, two] = await Promise.all(
        ['P', 'Q'].map((name) =>
          unwrap(both(0).projects.create({ name, environments: [{ name: 'E', variables: secret(name) }] })),
        ),
      );
      await unwrap(both(1).keys.rotate({ projectId: one!.id }));
      const ids = (await keysOf(org, one!.id)).map(({ id }) => id);
      expect(ids).toHaveLength(2);
      expect(await suite.harness.raw.dump()).toContain(ids[0]);
      await unwrap(both(0).projects.delete(one!.id));
      expect(await keysOf(org, one!.id)).toEqual([]);
      const dump = await suite.harness.raw.dump();
      for (const id of ids) expect(dump).not.toContain(id);
      expect(await keysOf(org, two!.id)).toHaveLength(1);
      const { ref } = await unwrap(both(1).environments.getDefault(two!.id));
      expect(await valueOf(both(1), ref)).toBe('Q');
    });

    test('sealed values that were moved, renamed or exchanged behind its back do not open', async () => {
      const [mine, other] = [await onBoth(), await onBoth()];
      const ada = mine.both(0);
      const variables = [...secret('one'), { key: 'OTHER', value: 'two', sensitive: true }];
      const environments = [
        { name: 'A', variables },
        { name: 'B', variables },
      ];
      const project = await unwrap(ada.projects.create({ name: 'P', environments }));
      const elsewhere = await unwrap(ada.projects.create({ name: 'Q', environments }));
      const theirs = await unwrap(other.both(0).projects.create({ name: 'P', environments }));
      const [a, b] = (await unwrap(ada.environments.list({ projectId: project.id }))).items;
      const q = await unwrap(ada.environments.getDefault(elsewhere.id));
      const t = await unwrap(other.both(0).environments.getDefault(theirs.id));

      const { raw } = suite.harness;
      const at = { orgId: mine.org, ...a!.ref };
      const original = await raw.environmentVariables(at);
      const [first, second] = JSON.parse(original) as [Sealed, Sealed];
      const flipped = first.sealed.slice(0, -2) + (first.sealed.at(-2) === 'A' ? 'B' : 'A') + first.sealed.slice(-1);
      const forged: readonly (readonly [string, string])[] = [
        ['another environment', await raw.environmentVariables({ orgId: mine.org, ...b!.ref })],
        ['another project', await raw.environmentVariables({ orgId: mine.org, ...q.ref })],
        ['another org', await raw.environmentVariables({ orgId: other.org, ...t.ref })],
        ['another name', JSON.stringify([{ ...first, key: 'RENAMED' }, second])],
        [
          'exchanged',
          JSON.stringify([
            { ...first, sealed: second.sealed },
            { ...second, sealed: first.sealed },
          ]),
        ],
        ['another version', JSON.stringify([{ ...first, sealVersion: first.sealVersion + 1 }, second])],
        ['a bit', JSON.stringify([{ ...first, sealed: flipped }, second])],
        ['cut off', JSON.stringify([{ ...first, sealed: first.sealed.slice(0, 60) }, second])],
      ];
      for (const [what, json] of forged) {
        await raw.setEnvironmentVariables(at, json);
        const answers = [ada.environments.resolve(a!.ref), mine.both(1).environments.duplicate(a!.ref, { name: 'X' })];
        for (const answer of answers) expect([what, await codeOf(answer)]).toEqual([what, 'unsealing_failed']);
      }
      await raw.setEnvironmentVariables(at, original);
      expect(await valueOf(ada, a!.ref)).toBe('one');
    });

    test('a value that is written over while others write is one of those that were written', async () => {
      const { both } = await onBoth();
      const project = await unwrap(both(0).projects.create({ name: 'P', environments: [{ name: 'E' }] }));
      const { ref } = await unwrap(both(0).environments.getDefault(project.id));
      const answers = await together(6, (index) =>
        codeOf(both(index).environments.patchVariables(ref, { set: secret(`value ${index}`) })),
      );
      expect(tally(answers)).toEqual({ ok: 6 });
      expect(await valueOf(both(1), ref)).toMatch(/^value \d$/);
    });
  });

  /** Clients for ada on two storages of one database, each with a cache of opened keys of its own. */
  async function onBoth(options: SuiteOptions = {}, org = suite.newOrg()) {
    const as = { org, type: 'user', id: 'ada' };
    const one = suite.vivarium(options).as(as);
    const two = suite.vivarium({ ...options, storage: await suite.other() }).as(as);
    return { org, both: (index: number) => (index % 2 === 0 ? one : two) };
  }

  function keysOf(org: string, id: string) {
    return unwrap(suite.harness.storage.dataKeys.ofScope(org, { type: 'project', id }));
  }
}

interface Sealed {
  readonly key: string;
  readonly sealed: string;
  readonly sealVersion: number;
}

function secret(value: string) {
  return [{ key: 'SECRET', value, sensitive: true }];
}

async function valueOf(client: Client<unknown>, ref: EnvironmentRef): Promise<string> {
  return (await unwrap(client.environments.reveal(ref, { keys: ['SECRET'] }))).get('SECRET')!.reveal();
}
