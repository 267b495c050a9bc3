import { unwrap } from '@vivarium/core';
import type { Client, Page, PageInput, ResultAsync, VivariumError } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { compareBytes } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { fakeClock } from './fake-clock.ts';
import { sequentialIds } from './sequential-ids.ts';
import type { Suite } from './suite.ts';

type List = (page: PageInput) => ResultAsync<Page<unknown>, VivariumError>;

/** All pages of a list, one after the other. */
export async function allPages<T>(
  list: (page: PageInput) => ResultAsync<Page<T>, VivariumError>,
  limit: number,
): Promise<Page<T>[]> {
  const pages: Page<T>[] = [];
  let cursor: string | null | undefined;
  do {
    const page: Page<T> = await unwrap(list({ limit, cursor: cursor ?? undefined }));
    pages.push(page);
    cursor = page.nextCursor;
    if (pages.length > 1_000) throw new Error('the list does not end');
  } while (cursor !== null);
  return pages;
}

export async function everything<T>(list: (page: PageInput) => ResultAsync<Page<T>, VivariumError>): Promise<T[]> {
  return (await allPages(list, 100)).flatMap(({ items }) => items);
}

/**
 * Fills the storage under test and memory storage with the same ids and times: once, when it is first asked for, because lists that are
 * only read can share what they list.
 */
export function filledAlike<Made>(
  suite: Suite,
  fill: (client: Client<unknown>, advance: (ms: number) => void) => Promise<Made>,
): () => Promise<readonly { readonly client: Client<unknown>; readonly made: Made }[]> {
  const both = async () => {
    const [org, series] = [suite.newOrg(), suite.newSeries()];
    return Promise.all(
      [suite.harness.storage, memoryStorage()].map(async (storage) => {
        const ports = { clock: fakeClock(), ids: sequentialIds(series) };
        const client = suite.vivarium({ storage, ...ports }).as({ org, type: 'user', id: 'ada' });
        return { client, made: await fill(client, ports.clock.advance) };
      }),
    );
  };
  let filled: ReturnType<typeof both> | undefined;
  return () => (filled ??= both());
}

/** In the order of their UTF-8 bytes, which is not that of UTF-16: `｡` (U+FF61) comes before `𐐨` (U+10428). */
const inByteOrder = [
  '-',
  '0',
  '1',
  '10',
  '2',
  '_',
  'a',
  'a b',
  'a-b',
  'a0',
  'aa',
  'b',
  'z',
  'é',
  'ω',
  'ա',
  '一',
  '語',
  'ｦ',
  '𐐨',
  '𝟘',
  '𠀀',
];

/** Every list in its order, in pages of every size, the same on every storage. */
export function testPaging(suite: Suite): void {
  describe('paging', () => {
    test('the names of these tests are in the order of their bytes, and not in that of UTF-16', () => {
      expect(shuffled(inByteOrder).toSorted(compareBytes)).toEqual(inByteOrder);
      expect([...inByteOrder].sort(compareBytes)).toEqual(inByteOrder);
      expect([...inByteOrder].sort()).not.toEqual(inByteOrder);
    });

    test('projects come by the bytes of their names, roots, children and all of them', async () => {
      const { ada } = suite.inNewOrg();
      const root = await unwrap(ada.projects.create({ name: 'Root' }));
      for (const name of shuffled(inByteOrder)) await unwrap(ada.projects.create({ name, parentProjectId: root.id }));
      const names = async (parentProjectId?: string | null) =>
        (await everything((page) => ada.projects.list({ parentProjectId, ...page }))).map(({ name }) => name);
      expect(await names(root.id)).toEqual(inByteOrder);
      expect(await names(null)).toEqual(['Root']);
      expect(await names()).toEqual(
        [...inByteOrder, 'Root'].sort((a, b) => compareBytes(a.toLowerCase(), b.toLowerCase())),
      );
    });

    test('environments come with the default first and then by the bytes of their names', async () => {
      const { ada } = suite.inNewOrg();
      const environments = shuffled(inByteOrder).map((name) => ({ name }));
      const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'ω2' }, ...environments] }));
      const names = async () =>
        (await everything((page) => ada.environments.list({ projectId: project.id, ...page }))).map(({ name }) => name);
      expect(await names()).toEqual(['ω2', ...inByteOrder]);

      const last = await unwrap(ada.environments.getByName(project.id, '𠀀'));
      await unwrap(ada.environments.makeDefault(last.ref));
      const others = [...inByteOrder.slice(0, -1), 'ω2'].sort(compareBytes);
      expect(await names()).toEqual(['𠀀', ...others]);
      const found = await everything((page) => ada.environments.search({ projectId: project.id, ...page }));
      expect(found.map(({ name }) => name)).toEqual([...inByteOrder, 'ω2'].sort(compareBytes));
    });

    describe('pages of every size give the whole list, with the same cursors as memory storage', () => {
      const lists: Readonly<Record<string, (client: Client<unknown>, projectId: string) => List>> = {
        'projects.list': (client) => (page) => client.projects.list(page),
        'projects.list of roots': (client) => (page) => client.projects.list({ parentProjectId: null, ...page }),
        'projects.list of children': (client, projectId) => (page) =>
          client.projects.list({ parentProjectId: projectId, ...page }),
        'environments.list': (client, projectId) => (page) => client.environments.list({ projectId, ...page }),
        'environments.search by name': (client, projectId) => (page) =>
          client.environments.search({ projectId, name: 'A', ...page }),
        'environments.search by key': (client, projectId) => (page) =>
          client.environments.search({ projectId, variableKey: 'HOST', ...page }),
        'journal.list': (client) => (page) => client.journal.list(page),
        'journal.list of an action': (client) => (page) => client.journal.list({ action: 'project.created', ...page }),
        'journal.listParked': (client) => (page) => client.journal.listParked(page),
      };

      const filled = filledAlike(suite, fill);

      test.each(Object.keys(lists))('%s', async (name) => {
        const [tested, reference] = (await filled()).map(({ client, made }) => lists[name]!(client, made));
        const whole = (await allPages(reference!, 100)).flatMap(({ items }) => items);
        expect(whole.length).toBeGreaterThanOrEqual(6);
        for (let limit = 1; limit <= whole.length + 1; limit++) {
          const pages = await allPages(tested!, limit);
          expect(pages).toEqual(await allPages(reference!, limit));
          expect(pages.flatMap(({ items }) => items)).toEqual(whole);
          expect(pages.slice(0, -1).every(({ items }) => items.length === limit)).toBe(true);
          expect(pages.at(-1)!.items.length).toBeGreaterThan(0);
        }
      });
    });

    test('an empty list is one empty page', async () => {
      const { ada } = suite.inNewOrg();
      const empty = { items: [], nextCursor: null };
      expect(await unwrap(ada.projects.list())).toEqual(empty);
      expect(await unwrap(ada.journal.list())).toEqual(empty);
      expect(await unwrap(ada.journal.listParked())).toEqual(empty);
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      expect(await unwrap(ada.projects.list({ parentProjectId: project.id }))).toEqual(empty);
      expect(await unwrap(ada.environments.search({ projectId: project.id, name: 'nothing like it' }))).toEqual(empty);
    });

    test('50 items make a page where no limit is given, and 100 fit', async () => {
      const { ada } = suite.inNewOrg({ limits: { environmentsPerProject: 110 } });
      const environments = Array.from({ length: 30 }, (_, index) => ({ name: `E ${index}` }));
      const project = await unwrap(ada.projects.create({ name: 'P', environments }));
      for (let index = 30; index < 105; index++) {
        await unwrap(ada.environments.create({ projectId: project.id, name: `E ${index}` }));
      }
      expect((await unwrap(ada.environments.list({ projectId: project.id }))).items).toHaveLength(50);
      expect((await unwrap(ada.environments.list({ projectId: project.id, limit: 100 }))).items).toHaveLength(100);
      expect((await unwrap(ada.environments.search({ projectId: project.id, limit: 100 }))).items).toHaveLength(100);
      expect((await unwrap(ada.journal.list())).items).toHaveLength(50);
    });

    test('what is made or deleted between two pages neither hides nor repeats anything else', async () => {
      const { ada } = suite.inNewOrg();
      const environments = ['d', 'f', 'h', 'j', 'l', 'n'].map((name) => ({ name }));
      const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'm' }, ...environments] }));
      const page = await unwrap(ada.environments.list({ projectId: project.id, limit: 3 }));
      expect(page.items.map(({ name }) => name)).toEqual(['m', 'd', 'f']);

      await unwrap(ada.environments.create({ projectId: project.id, name: 'a' }));
      await unwrap(ada.environments.create({ projectId: project.id, name: 'g' }));
      for (const name of ['f', 'j']) {
        await unwrap(ada.environments.delete((await unwrap(ada.environments.getByName(project.id, name))).ref));
      }
      const rest = await unwrap(ada.environments.list({ projectId: project.id, cursor: page.nextCursor! }));
      expect(rest.items.map(({ name }) => name)).toEqual(['g', 'h', 'l', 'n']);
      expect(rest.nextCursor).toBe(null);
    });

    test.each([1, 2, 3])(
      'the default may move between two pages of %i: every environment is shown once',
      async (limit) => {
        const { ada } = suite.inNewOrg();
        const environments = ['c', 'a', 'b', 'd', 'e'].map((name) => ({ name }));
        const project = await unwrap(ada.projects.create({ name: 'P', environments }));
        const seen: string[] = [];
        let cursor: string | null | undefined;
        do {
          const page: Page<{ readonly name: string }> = await unwrap(
            ada.environments.list({ projectId: project.id, limit, cursor: cursor ?? undefined }),
          );
          seen.push(...page.items.map(({ name }) => name));
          expect(seen.length, 'the list ends').toBeLessThanOrEqual(environments.length);
          cursor = page.nextCursor;
          const next = await unwrap(ada.environments.getByName(project.id, seen.length % 2 === 0 ? 'e' : 'a'));
          await unwrap(ada.environments.makeDefault(next.ref));
        } while (cursor !== null);
        expect(seen).toEqual(['c', 'a', 'b', 'd', 'e']);
      },
    );

    test('a page behind an environment that has been deleted goes on from its place', async () => {
      const { ada } = suite.inNewOrg();
      const environments = ['a', 'b', 'c', 'd'].map((name) => ({ name }));
      const project = await unwrap(ada.projects.create({ name: 'P', environments }));
      const first = await unwrap(ada.environments.list({ projectId: project.id, limit: 1 }));
      await unwrap(ada.environments.delete((await unwrap(ada.environments.getDefault(project.id))).ref));
      const rest = await unwrap(ada.environments.list({ projectId: project.id, cursor: first.nextCursor! }));
      expect(rest.items.map(({ name }) => name)).toEqual(['b', 'c', 'd']);
    });

    describe('a cursor that is none of this list is refused', () => {
      const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const malformed: Readonly<Record<string, string>> = {
        empty: '',
        'no base64': '%%%',
        'no JSON': Buffer.from('{').toString('base64url'),
        null: encoded(null),
        'another list': encoded(['elsewhere', 'a']),
        'a number': encoded(['projects', 1]),
        'NUL in a name': encoded(['projects', 'a\0b']),
        'half a surrogate pair': encoded(['projects', '\ud800']),
        'no id': encoded(['environments', { first: 'x', nameKey: null }]),
        'NUL in a key': encoded(['environments', { first: '00000000-0000-7000-8000-000000000001', nameKey: '\0' }]),
        'no time': encoded(['journal', { at: 'yesterday', id: '00000000-0000-7000-8000-000000000001' }]),
        'no such day': encoded([
          'journal',
          { at: '2025-02-31T00:00:00.000Z', id: '00000000-0000-7000-8000-000000000001' },
        ]),
        'no id in time': encoded(['journal', { at: '2025-02-01T00:00:00.000Z', id: "'; --" }]),
        'no id of a parked entry': encoded(['journal.parked', { at: '2025-02-01T00:00:00.000Z', id: 'x' }]),
        'too long': 'A'.repeat(5_000),
      };

      test.each(Object.keys(malformed))('%s', async (what) => {
        const { ada } = suite.inNewOrg();
        const project = await unwrap(ada.projects.create({ name: 'P' }));
        const cursor = malformed[what]!;
        const error = await refused(ada.projects.list({ cursor }), 'invalid_input');
        expect(error.issues.map(({ path }) => path)).toEqual(['cursor']);
        await refused(ada.environments.list({ projectId: project.id, cursor }), 'invalid_input');
        await refused(ada.environments.search({ projectId: project.id, cursor }), 'invalid_input');
        await refused(ada.journal.list({ cursor }), 'invalid_input');
        await refused(ada.journal.listParked({ cursor }), 'invalid_input');
      });

      test('the cursor of another list', async () => {
        const { ada } = suite.inNewOrg();
        const environments = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
        const project = await unwrap(ada.projects.create({ name: 'P', environments }));
        await unwrap(ada.projects.create({ name: 'Q' }));
        const lists: readonly List[] = [
          (page) => ada.projects.list(page),
          (page) => ada.environments.list({ projectId: project.id, ...page }),
          (page) => ada.environments.search({ projectId: project.id, ...page }),
          (page) => ada.journal.list(page),
        ];
        for (const [from, giver] of lists.entries()) {
          const { nextCursor } = await unwrap(giver({ limit: 1 }));
          for (const [to, taker] of lists.entries()) {
            const answer = await taker({ cursor: nextCursor! });
            expect(answer.isOk(), `cursor of list ${from} in list ${to}`).toBe(from === to);
          }
        }
      });
    });
  });

  /** Projects, environments and parked entries, many of which share a time. Gives a project that has children and environments. */
  async function fill(client: Client<unknown>, advance: (ms: number) => void): Promise<string> {
    const names = ['ab', 'a', 'A b', 'b a', 'Ça', '𐐨a', 'ｦa', 'z', 'a_b', '100'];
    const environments = names.map((name, index) => ({
      name,
      variables: index % 3 === 0 ? [] : [{ key: 'HOST', value: name }],
    }));
    const project = await unwrap(client.projects.create({ name: 'm', environments }));
    const handler = () => {
      throw new Error('parked');
    };
    for (const [index, name] of names.entries()) {
      if (index % 4 === 3) advance(1);
      await unwrap(client.projects.create({ name }));
      await unwrap(client.projects.create({ name: `child ${name}`, parentProjectId: project.id }));
    }
    await unwrap(client.journal.deliver({ handler, maxAttempts: 1 }));
    return project.id;
  }
}

/** The same items in another order. */
function shuffled<T>(items: readonly T[]): readonly T[] {
  return [...items].reverse().map((_, index, reversed) => reversed[(index * 7) % reversed.length]!);
}
