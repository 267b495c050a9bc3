import { unwrap } from '@vivarium/core';
import type { EphemeralRepository, StoredChange, StoredInstance, StoredType } from '@vivarium/core/storage';
import { compareBytes, stateChangeTypes } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { tally, together } from './answers.ts';
import {
  action,
  afterMs,
  changeIn,
  definition,
  destroyed,
  ended,
  instanceOf,
  made,
  newKey,
  next,
  secretOf,
  started,
  typeNamed,
  writerOf,
} from './ephemeral-making.ts';
import type { Suite } from './suite.ts';

const done = { done: true };
const refused = (by: string) => ({ done: false, refused: by });

/** The port of ephemeral environments, asked without the services in front of it: each method by its contract, then what holds among many. */
export function testEphemeralPort(suite: Suite): void {
  const port = (): EphemeralRepository => suite.harness.storage.ephemeral;
  const inNewOrg = () => {
    const org = suite.newOrg();
    return { org, given: writerOf(suite.harness.storage, org) };
  };

  describe('port of ephemeral environments: types', () => {
    const put = (
      org: string,
      before: StoredType,
      differing: Partial<StoredType>,
      patch: Pick<Parameters<EphemeralRepository['writeType']>[0], 'action' | 'secret'> = {},
    ) =>
      unwrap(
        port().writeType({
          type: next(before, differing),
          previousNameKey: before.nameKey,
          expectedVersion: before.version,
          ...patch,
          change: changeIn(org),
        }),
      );

    test('a type is read as it was written, with its actions and secrets', async () => {
      const org = suite.newOrg();
      const year = 366 * 24 * 60 * 60 * 1_000;
      const actions = stateChangeTypes.map((one, index) =>
        action(one, {
          projectId: `host's "own" \\ ${index}`,
          branch: 'förmlich/\u{1f331}',
          pipelineYamlName: 'p'.repeat(255),
        }),
      );
      const secrets = ['A-1', 'B', '_', 'a'].map((name) =>
        definition(name, {
          description: `${'ü'.repeat(490)} "\n'`,
          writableBy: ['provisioning', 'deprovisioning'],
          readableBy: [],
        }),
      );
      const type: StoredType = typeNamed('Straße', {
        nameKey: 'strasse',
        description: `line\n"quoted" \\ \u{1f331}`,
        maxNumberOfInstances: 1_000_000,
        ttlMs: year,
        maxTtlMs: year,
        sleepAfterMs: year - 1,
        changeTimeoutMs: year,
        createdBy: { type: 'service', id: 'i'.repeat(128) },
        lastModifiedBy: { type: 'user', id: `ada's` },
        actions,
        secrets,
        updatedAt: afterMs(9),
      });
      expect(await unwrap(port().createType({ type, change: changeIn(org) }))).toEqual(done);
      const loaded = { ...type, liveInstances: 0 };
      expect(await unwrap(port().getType(org, type.id))).toEqual({ found: loaded, key: null });
      const { actions: _actions, secrets: _secrets, ...summary } = loaded;
      expect(await unwrap(port().listTypes(org, { limit: 5, after: null }))).toEqual({ items: [summary], more: false });
    });

    test('40 secret definitions of full length come along', async () => {
      const { org, given } = inNewOrg();
      const secrets = Array.from({ length: 40 }, (_none, index) =>
        definition(`${String(index).padStart(2, '0')}${'N'.repeat(254)}`, {
          description: '\u{1f331}'.repeat(250),
          writableBy: stateChangeTypes,
          readableBy: stateChangeTypes,
        }),
      );
      const type = await given.type('T', { secrets, actions: stateChangeTypes.map((one) => action(one)) });
      expect((await unwrap(port().getType(org, type.id))).found).toEqual({ ...type, liveInstances: 0 });
      const instance = await given.instance(type);
      expect((await unwrap(port().facts(org, instance.id))).found?.type.secrets).toEqual(secrets);
    });

    test('a name is taken by one type that is not deleted, and free again after', async () => {
      const { org, given } = inNewOrg();
      const first = await given.type('Review');
      const create = (inOrg = org) => unwrap(port().createType({ type: typeNamed('REVIEW'), change: changeIn(inOrg) }));
      expect(await create()).toEqual(refused('name_taken'));
      expect(await create(suite.newOrg())).toEqual(done);
      const second = await given.type('Second');
      expect(await put(org, second, { name: 'Review', nameKey: 'review' })).toEqual(refused('name_taken'));
      expect(await put(org, first, { state: 'deleted' })).toEqual(done);
      expect(await put(org, second, { name: 'Review', nameKey: 'review' })).toEqual(done);
      expect(await create()).toEqual(refused('name_taken'));
      expect((await unwrap(port().getType(org, first.id))).found).toMatchObject({
        state: 'deleted',
        nameKey: 'review',
      });
      const { items } = await unwrap(port().listTypes(org, { limit: 5, after: null }));
      expect(items.map(({ id }) => id)).toEqual([second.id]);
    });

    test('a list is in the order of bytes, page by page', async () => {
      const { org, given } = inNewOrg();
      const names = ['b', 'a', 'ä', '\u{1f331}', '\uffdc', 'a b', 'a-b'];
      for (const name of names) await given.type(name);
      const seen: string[] = [];
      let after: string | null = null;
      for (let more = true; more;) {
        const page: { items: readonly { nameKey: string }[]; more: boolean } = await unwrap(
          port().listTypes(org, { limit: 3, after }),
        );
        seen.push(...page.items.map(({ nameKey }) => nameKey));
        after = seen.at(-1)!;
        more = page.more;
      }
      expect(seen).toEqual([...names].sort(compareBytes));
    });

    test('a write replaces the settings, and puts or removes one action and one secret definition', async () => {
      const { org, given } = inNewOrg();
      const kept = [action('provisioning'), definition('KEPT')] as const;
      const type = await given.type('T', {
        state: 'draft',
        actions: [kept[0], action('deploying')],
        secrets: [kept[1], definition('OLD')],
      });
      const replaced = { ...type.actions[1]!, pipelineYamlName: 'other.yml', branch: 'b', updatedAt: afterMs(5) };
      const added = definition('NEW', { readableBy: ['deploying'] });
      const changes = {
        name: 'U',
        nameKey: 'u',
        description: 'now with words',
        state: 'ready',
        maxNumberOfInstances: 3,
        ttlMs: 1,
        maxTtlMs: 2,
        sleepAfterMs: 3,
        changeTimeoutMs: 4,
        lastModifiedBy: { type: 'service', id: 'robot' },
      } as const;
      expect(await put(org, type, changes, { action: { put: replaced }, secret: { put: added } })).toEqual(done);
      const second = next(type, {
        ...changes,
        actions: [kept[0], replaced],
        secrets: [kept[1], added, type.secrets[1]!],
      });
      expect((await unwrap(port().getType(org, type.id))).found).toEqual({ ...second, liveInstances: 0 });

      const again = { ...added, description: 'said twice', readableBy: [], updatedAt: afterMs(6) };
      const wakeUp = action('wake_up');
      expect(await put(org, second, {}, { action: { put: wakeUp }, secret: { put: again } })).toEqual(done);
      const third = next(second, { actions: [kept[0], replaced, wakeUp], secrets: [kept[1], again, type.secrets[1]!] });
      expect((await unwrap(port().getType(org, type.id))).found).toEqual({ ...third, liveInstances: 0 });

      expect(await put(org, third, {}, { action: { remove: 'deploying' }, secret: { remove: 'OLD' } })).toEqual(done);
      const fourth = next(third, { actions: [kept[0], wakeUp], secrets: [kept[1], again] });
      expect((await unwrap(port().getType(org, type.id))).found).toEqual({ ...fourth, liveInstances: 0 });
    });

    test('a write is refused where there is no such type, at another version, and while instances live', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type('T');
      const removing = { action: { put: action('deploying') } };
      expect(await put(org, typeNamed('Nowhere'), {})).toEqual(refused('not_found'));
      expect(await put(suite.newOrg(), type, {})).toEqual(refused('not_found'));
      expect(await put(org, { ...type, version: 2 }, {}, removing)).toEqual(refused('stale'));
      const instance = await given.instance(type);
      expect(await put(org, type, { state: 'deleted' })).toEqual(refused('has_instances'));
      expect(await put(org, { ...type, version: 2 }, { state: 'deleted' })).toEqual(refused('stale'));
      expect((await unwrap(port().getType(org, type.id))).found).toEqual({ ...type, liveInstances: 1 });
      await given.end(await given.start(instance));
      expect(await put(org, type, { state: 'deleted' })).toEqual(done);
      expect(
        (await unwrap(port().listInstances(org, { typeId: type.id }, { limit: 5, after: null })))?.items,
      ).toHaveLength(1);
    });
  });

  describe('port of ephemeral environments: instances', () => {
    const create = (org: string, type: { readonly id: string }, name: string, key = newKey()) =>
      unwrap(port().createInstance({ instance: instanceOf(type, name), change: changeIn(org, key) }));
    const write = (org: string, instance: StoredInstance, expectedVersion = instance.version - 1) =>
      unwrap(port().writeInstance({ instance, expectedVersion, change: changeIn(org) }));

    test('an instance is read as it was written, by itself, in lists and among facts', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type();
      const first = await given.instance(type, 'Größe', {
        nameKey: 'grösse',
        expiresAt: afterMs(1),
        lastActiveAt: afterMs(2),
      });
      const full = next(first, {
        state: 'failed_cleanup',
        changeSequence: 7,
        sleptFrom: 'in_use',
        expiresAt: afterMs(366 * 24 * 3_600_000),
        lastActiveAt: afterMs(3),
        sweepFailures: 4,
        sweepAfter: afterMs(4),
        needsAttention: true,
        note: `it's "clean" \\ \u{1f331}\n`,
      });
      const bare = next(full, {
        sleptFrom: null,
        expiresAt: null,
        sweepAfter: null,
        needsAttention: false,
        note: null,
      });
      for (const instance of [first, full, bare]) {
        if (instance !== first) expect(await write(org, instance)).toEqual(done);
        expect(await unwrap(port().getInstance(org, first.id))).toEqual(instance);
        const page = await unwrap(port().listInstances(org, { typeId: type.id }, { limit: 5, after: null }));
        expect(page).toEqual({ items: [instance], more: false });
        const { found } = await unwrap(port().facts(org, first.id));
        expect(found).toEqual({ instance, type: { ...type, liveInstances: 1 }, pending: null });
      }
    });

    test('each guard of a new instance has its word, and what it refuses leaves no trace', async () => {
      const { org, given } = inNewOrg();
      const { raw } = suite.harness;
      const type = await given.type('T', { maxNumberOfInstances: 2 });
      const draft = await given.type('D', { state: 'draft' });
      const cordoned = await given.type('C', { state: 'cordoned', maxNumberOfInstances: 0 });
      const closed = await given.type('N', { maxNumberOfInstances: 0 });
      await given.instance(type, 'one');
      const entries = await raw.count('journal', org);
      expect(await create(org, { id: randomUUID() }, 'x')).toEqual(refused('not_found'));
      expect(await create(suite.newOrg(), type, 'x')).toEqual(refused('not_found'));
      expect(await create(org, draft, 'x')).toEqual(refused('type_not_ready'));
      expect(await create(org, cordoned, 'x')).toEqual(refused('type_not_ready'));
      expect(await create(org, closed, 'x')).toEqual(refused('capacity_reached'));
      expect(await create(org, type, 'ONE')).toEqual(refused('name_taken'));
      expect((await unwrap(port().getType(org, type.id))).found?.liveInstances).toBe(1);
      expect([await raw.count('journal', org), await raw.count('keys', org)]).toEqual([entries, 0]);
      await given.instance(type, 'two');
      expect(await create(org, type, 'three')).toEqual(refused('capacity_reached'));
      expect(await create(org, type, 'ONE')).toEqual(refused('capacity_reached'));
    });

    test('a key that was used comes before every other refusal, and is found by each load', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type('T', { maxNumberOfInstances: 1 });
      const key = newKey();
      expect(await create(org, type, 'one', key)).toEqual(done);
      const { id, ...record } = key;
      expect(await create(org, type, 'one', key)).toEqual({ done: false, refused: 'key_taken', record });
      expect((await unwrap(port().getType(org, type.id, id))).key).toEqual(record);
      expect(await unwrap(port().getType(org, randomUUID(), id))).toEqual({ found: null, key: record });
      expect(await unwrap(port().facts(org, randomUUID(), id))).toEqual({ found: null, key: record });
      expect(await unwrap(port().changeFacts(org, randomUUID(), id))).toEqual({ found: null, key: record });
      expect(await unwrap(port().facts(org, randomUUID()))).toEqual({ found: null, key: null });
    });

    test('an instance that ends gives its place and its name free, and loses its secrets, whichever way it ends', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type('T', { maxNumberOfInstances: 1 });
      const ways: readonly ((instance: StoredInstance) => PromiseLike<unknown>)[] = [
        async (instance) => given.end(await given.start(instance)),
        async (instance) =>
          expect(await write(org, next(instance, { state: 'acknowledged_cleanup', endedAt: made }))).toEqual(done),
      ];
      for (const end of ways) {
        const instance = await given.instance(type, 'the one');
        const begun = await given.start(instance);
        for (const name of ['A', 'B']) await given.secret(begun.stateChange.id, secretOf(instance, name));
        const failed = await given.end(begun, 'failed');
        expect(await unwrap(port().secrets(org, instance.id))).toHaveLength(2);
        expect(await create(org, type, 'the one')).toEqual(refused('capacity_reached'));
        await end(failed.instance);
        expect(await unwrap(port().secrets(org, instance.id))).toEqual([]);
        expect((await unwrap(port().getType(org, type.id))).found?.liveInstances).toBe(0);
      }
      const { items } = (await unwrap(port().listInstances(org, { typeId: type.id }, { limit: 9, after: null })))!;
      expect(items.map(({ name, state }) => [name, state]).toSorted(([, a], [, b]) => (a! < b! ? -1 : 1))).toEqual([
        ['the one', 'acknowledged_cleanup'],
        ['the one', 'destroyed'],
      ]);
    });

    test('a write is refused where there is no such instance, and at another version', async () => {
      const { org, given } = inNewOrg();
      const instance = await given.instance(await given.type());
      expect(await write(org, next(instanceOf({ id: instance.typeId }, 'x')))).toEqual(refused('not_found'));
      expect(await write(suite.newOrg(), next(instance))).toEqual(refused('not_found'));
      expect(await write(org, next(instance), 2)).toEqual(refused('stale'));
      expect(await write(org, destroyed(instance), 2)).toEqual(refused('stale'));
      expect(await unwrap(port().getInstance(org, instance.id))).toEqual(instance);
      expect((await unwrap(port().getType(org, instance.typeId))).found?.liveInstances).toBe(1);
    });

    test('one that has ended is removed at its version, with its changes', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type();
      const [gone, stays] = [await given.instance(type), await given.instance(type)];
      const over = await given.end(await given.start(gone));
      const other = await given.start(stays);
      const remove = (instance: StoredInstance, inOrg = org) =>
        unwrap(port().removeInstance({ instance, change: changeIn(inOrg) }));
      expect(await remove({ ...over.instance, version: 2 })).toEqual(refused('stale'));
      expect(await remove(over.instance, suite.newOrg())).toEqual(refused('not_found'));
      expect(await remove(over.instance)).toEqual(done);
      expect(await remove(over.instance)).toEqual(refused('not_found'));
      expect(await unwrap(port().getInstance(org, gone.id))).toBeNull();
      expect(await unwrap(port().listChanges(org, gone.id, { limit: 5, after: null }))).toBeNull();
      expect((await unwrap(port().changeFacts(org, over.stateChange.id))).found).toBeNull();
      expect((await unwrap(port().changeFacts(org, other.stateChange.id))).found?.stateChange).toEqual(
        other.stateChange,
      );
      expect((await unwrap(port().getType(org, type.id))).found?.liveInstances).toBe(1);
    });

    test('a list is by name, then id, of all or of one state, page by page, and of one type', async () => {
      const { org, given } = inNewOrg();
      const [type, other] = [await given.type(), await given.type()];
      await given.instance(other, 'elsewhere');
      for (const name of ['b', 'b', 'b', 'a', '\u{1f331}', '\uffdc']) {
        await given.end(await given.start(await given.instance(type, name)));
      }
      for (const name of ['b', 'c']) await given.instance(type, name);
      const listed = async (state?: 'destroyed' | 'zero_state') => {
        const found: StoredInstance[] = [];
        for (;;) {
          const last = found.at(-1);
          const after = last === undefined ? null : { nameKey: last.nameKey, id: last.id };
          const filter = state === undefined ? { typeId: type.id } : { typeId: type.id, state };
          const page = (await unwrap(port().listInstances(org, filter, { limit: 2, after })))!;
          found.push(...page.items);
          if (!page.more) return found;
        }
      };
      const everything = await listed();
      const byPosition = (a: StoredInstance, b: StoredInstance) =>
        compareBytes(a.nameKey, b.nameKey) || compareBytes(a.id, b.id);
      expect(everything).toEqual([...everything].sort(byPosition));
      expect(new Set(everything.map(({ id }) => id)).size).toBe(8);
      expect(await listed('destroyed')).toEqual(everything.filter(({ state }) => state === 'destroyed'));
      expect((await listed('zero_state')).map(({ name }) => name)).toEqual(['b', 'c']);
      const none = await unwrap(
        port().listInstances(org, { typeId: type.id, state: 'in_use' }, { limit: 2, after: null }),
      );
      expect(none).toEqual({ items: [], more: false });
      for (const [inOrg, typeId] of [
        [org, randomUUID()],
        [suite.newOrg(), type.id],
      ] as const) {
        expect(await unwrap(port().listInstances(inOrg, { typeId }, { limit: 2, after: null }))).toBeNull();
      }
    });
  });

  describe('port of ephemeral environments: state changes', () => {
    const changeOf = async (org: string, id: string) => (await unwrap(port().changeFacts(org, id))).found?.stateChange;

    test('a change is read as it was written: pending, accepted, ended, in facts and in lists', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type('T', { actions: [action('deprovisioning')] });
      const instance = await given.instance(type);
      const begun = await given.start(instance, {
        trigger: { type: 'automation_rule', id: `rule's "${'\u{1f331}'.repeat(40)}"` },
        projectId: 'p',
        branch: 'b/ü',
        pipelineYamlName: '.ci/x.yml',
        parameters: { z: '1', a: `"'\\ \u{1f331}`, __proto__: 'x', ['constructor']: 'y', '': '' },
        tokenHashes: ['a'.repeat(64), 'b'.repeat(64)],
        deadline: afterMs(366 * 24 * 3_600_000),
      });
      const loaded = { ...type, liveInstances: 1 };
      expect((await unwrap(port().facts(org, instance.id))).found).toEqual({
        instance: begun.instance,
        type: loaded,
        pending: begun.stateChange,
      });
      expect((await unwrap(port().changeFacts(org, begun.stateChange.id))).found).toEqual({ ...begun, type: loaded });

      const accepted = { acceptedAt: afterMs(2), executionPipelineId: 'ü'.repeat(255), executionId: `e'"` };
      expect(await unwrap(port().acceptChange(org, { ...begun.stateChange, ...accepted }))).toBe(true);
      const known: StoredChange = { ...begun.stateChange, ...accepted };
      expect((await unwrap(port().facts(org, instance.id))).found?.pending).toEqual(known);

      const over = await given.end({ ...begun, stateChange: known }, 'failed');
      expect((await unwrap(port().facts(org, instance.id))).found).toEqual({
        instance: over.instance,
        type: loaded,
        pending: null,
      });
      expect(await unwrap(port().listChanges(org, instance.id, { limit: 5, after: null }))).toEqual({
        items: [over.stateChange],
        more: false,
      });
    });

    test('a change starts at the version that was read, where none is pending', async () => {
      const { org, given } = inNewOrg();
      const instance = await given.instance(await given.type());
      const start = (before: StoredInstance, expectedVersion = before.version, inOrg = org) =>
        unwrap(port().startChange({ ...started(before), expectedVersion, change: changeIn(inOrg) }));
      expect(await start({ ...instance, id: randomUUID() })).toEqual(refused('not_found'));
      expect(await start(instance, 1, suite.newOrg())).toEqual(refused('not_found'));
      expect(await start(instance, 2)).toEqual(refused('stale'));
      const begun = await given.start(instance);
      expect(await start(instance)).toEqual(refused('stale'));
      expect(await start(begun.instance)).toEqual(refused('stale'));
      expect((await unwrap(port().listChanges(org, instance.id, { limit: 5, after: null })))?.items).toEqual([
        begun.stateChange,
      ]);
    });

    test('a change ends while it is the pending one, at the version that was read', async () => {
      const { org, given } = inNewOrg();
      const instance = await given.instance(await given.type());
      const begun = await given.start(instance);
      const end = (what: ReturnType<typeof ended>, expectedVersion: number, inOrg = org) =>
        unwrap(port().endChange({ ...what, expectedVersion, change: changeIn(inOrg) }));
      for (const result of ['passed', 'failed'] as const) {
        const over = ended(begun, result);
        const elsewhere = { ...over, instance: { ...over.instance, id: randomUUID() } };
        const another = { ...over, stateChange: { ...over.stateChange, id: randomUUID() } };
        expect(await end(elsewhere, 2)).toEqual(refused('not_found'));
        expect(await end(over, 2, suite.newOrg())).toEqual(refused('not_found'));
        expect(await end(over, 1)).toEqual(refused('stale'));
        expect(await end(another, 2)).toEqual(refused('stale'));
      }
      expect(await unwrap(port().getInstance(org, instance.id))).toEqual(begun.instance);
      expect((await unwrap(port().getType(org, instance.typeId))).found?.liveInstances).toBe(1);
      const over = await given.end(begun);
      expect(await end(over, 2)).toEqual(refused('stale'));
      expect(await end(over, 3)).toEqual(refused('stale'));
      expect((await unwrap(port().getType(org, instance.typeId))).found?.liveInstances).toBe(0);
    });

    test('what the runner said, and new tokens, stay when a change ends that was decided without them', async () => {
      const { org, given } = inNewOrg();
      const begun = await given.start(await given.instance(await given.type()));
      const { id, instanceId, tokenHashes: expected } = begun.stateChange;
      const accepted = { acceptedAt: afterMs(3), executionPipelineId: 'pipeline', executionId: 'run' };
      const tokenHashes = [...expected, 'b'.repeat(64)];
      expect(await unwrap(port().acceptChange(org, { id, instanceId, ...accepted }))).toBe(true);
      expect(await unwrap(port().setTokens(org, { id, instanceId, tokenHashes, expected }))).toBe(true);
      const over = await given.end(begun);
      expect(await changeOf(org, id)).toEqual({ ...over.stateChange, ...accepted, tokenHashes });
    });

    test('neither is written once the change has ended, nor in another org, and neither moves a version', async () => {
      const { org, given } = inNewOrg();
      const begun = await given.start(await given.instance(await given.type()));
      const { id, instanceId, tokenHashes } = begun.stateChange;
      const accept = (inOrg: string, executionId: string) =>
        unwrap(
          port().acceptChange(inOrg, {
            id,
            instanceId,
            acceptedAt: afterMs(3),
            executionPipelineId: null,
            executionId,
          }),
        );
      const replace = (inOrg: string, expected: readonly string[]) =>
        unwrap(port().setTokens(inOrg, { id, instanceId, tokenHashes: ['c'], expected }));
      expect([await accept(suite.newOrg(), 'x'), await replace(suite.newOrg(), tokenHashes)]).toEqual([false, false]);
      expect([await replace(org, []), await replace(org, [...tokenHashes, 'b'])]).toEqual([false, false]);
      expect([await accept(org, 'first'), await replace(org, tokenHashes), await replace(org, tokenHashes)]).toEqual([
        true,
        true,
        false,
      ]);
      expect(await unwrap(port().getInstance(org, instanceId))).toEqual(begun.instance);
      await given.end(begun, 'failed');
      expect([await accept(org, 'late'), await replace(org, ['c'])]).toEqual([false, false]);
      expect(await changeOf(org, id)).toMatchObject({ executionId: 'first', tokenHashes: ['c'] });
    });

    test('nothing is found in another org, not even one whose name begins alike', async () => {
      const { org, given } = inNewOrg();
      const { instance, stateChange } = await given.start(await given.instance(await given.type()));
      for (const stranger of [suite.newOrg(), `${org} `, org.toUpperCase()]) {
        expect((await unwrap(port().getType(stranger, instance.typeId))).found).toBeNull();
        expect(await unwrap(port().getInstance(stranger, instance.id))).toBeNull();
        expect((await unwrap(port().facts(stranger, instance.id))).found).toBeNull();
        expect((await unwrap(port().changeFacts(stranger, stateChange.id))).found).toBeNull();
        expect((await unwrap(port().listTypes(stranger, { limit: 5, after: null }))).items).toEqual([]);
      }
    });

    test('a list is newest first, page by page', async () => {
      const { org, given } = inNewOrg();
      let instance = await given.instance(await given.type());
      expect(await unwrap(port().listChanges(org, instance.id, { limit: 2, after: null }))).toEqual({
        items: [],
        more: false,
      });
      for (let sequence = 1; sequence <= 12; sequence++)
        ({ instance } = await given.end(await given.start(instance), 'failed'));
      const seen: number[] = [];
      for (;;) {
        const page = (await unwrap(port().listChanges(org, instance.id, { limit: 5, after: seen.at(-1) ?? null })))!;
        seen.push(...page.items.map(({ sequence }) => sequence));
        if (!page.more) break;
      }
      expect(seen).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
      expect(await unwrap(port().listChanges(org, randomUUID(), { limit: 2, after: null }))).toBeNull();
      expect(await unwrap(port().listChanges(suite.newOrg(), instance.id, { limit: 2, after: null }))).toBeNull();
    });
  });

  describe('port of ephemeral environments: secrets', () => {
    test('values are read as written, all of them by name or those asked for', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type();
      const [one, two] = [await given.instance(type), await given.instance(type)];
      const [first, second] = [await given.start(one), await given.start(two)];
      const values = ['b', 'B', '_', 'a'].map((name) => secretOf(one, name));
      const large = { ...secretOf(one, 'L'.repeat(256)), sealed: 'x'.repeat(90_000), updatedAt: afterMs(4) };
      for (const value of [...values, large]) await given.secret(first.stateChange.id, value);
      await given.secret(second.stateChange.id, secretOf(two, 'a'));
      const sorted = [...values, large].sort((a, b) => compareBytes(a.name, b.name));
      expect(await unwrap(port().secrets(org, one.id))).toEqual(sorted);
      expect(await unwrap(port().secrets(org, one.id, ['b', 'nothing', 'B', 'b']))).toEqual([
        secretOf(one, 'B'),
        secretOf(one, 'b'),
      ]);
      expect(await unwrap(port().secrets(org, one.id, [large.name]))).toEqual([large]);
      expect(await unwrap(port().secrets(org, one.id, []))).toEqual([]);
      expect(await unwrap(port().secrets(suite.newOrg(), one.id))).toEqual([]);
    });

    test('a value is written at its version, by the pending change', async () => {
      const { org, given } = inNewOrg();
      const type = await given.type();
      const instance = await given.instance(type);
      const write = (stateChangeId: string, version: number, inOrg = org) =>
        unwrap(
          port().writeSecret({ secret: secretOf(instance, 'S', version), stateChangeId, change: changeIn(inOrg) }),
        );
      expect(await write(randomUUID(), 1)).toEqual(refused('not_pending'));
      const begun = await given.start(instance);
      const { id } = begun.stateChange;
      const other = await given.start(await given.instance(type));
      expect(await write(id, 2)).toEqual(refused('stale'));
      expect(await write(id, 1)).toEqual(done);
      expect(await write(id, 1)).toEqual(refused('stale'));
      expect(await write(id, 3)).toEqual(refused('stale'));
      expect(await write(other.stateChange.id, 2)).toEqual(refused('not_pending'));
      expect(await write(id, 2, suite.newOrg())).toEqual(refused('not_pending'));
      expect(await write(id, 2)).toEqual(done);
      await given.end(begun, 'failed');
      expect(await write(id, 3)).toEqual(refused('not_pending'));
      expect(await unwrap(port().secrets(org, instance.id))).toEqual([secretOf(instance, 'S', 2)]);
    });
  });

  describe('port of ephemeral environments: what is due', () => {
    const now = afterMs(100_000);
    const acceptedBy = afterMs(70_000);

    test('everything that sweep has to look at, in the order of ids, however the pages are cut', async () => {
      const { org, given } = inNewOrg();
      const sleepy = await given.type('S', { sleepAfterMs: 100_000, actions: [action('to_sleep')] });
      const awake = await given.type('A');
      const set = async (type: StoredType, differing: Partial<StoredInstance>) => {
        const before = await given.instance(type);
        const instance = next(before, differing);
        expect(await unwrap(port().writeInstance({ instance, expectedVersion: 1, change: changeIn(org) }))).toEqual(
          done,
        );
        return instance;
      };
      const due = [
        (await given.start(await given.instance(awake), { deadline: now, acceptedAt: made })).instance,
        (await given.start(await given.instance(awake), { deadline: afterMs(200_000), startedAt: acceptedBy }))
          .instance,
        (
          await given.start(await given.instance(awake), {
            deadline: afterMs(200_000),
            startedAt: now,
            tokenHashes: [],
          })
        ).instance,
        await set(awake, { expiresAt: now }),
        await set(awake, { expiresAt: afterMs(1), sweepFailures: 1, sweepAfter: now }),
        await set(sleepy, { state: 'ready_to_use', lastActiveAt: made }),
        await set(sleepy, { state: 'in_use', lastActiveAt: afterMs(-1) }),
      ];
      const ignored = [
        (await given.start(await given.instance(awake), { deadline: afterMs(100_001), acceptedAt: made })).instance,
        await given.instance(awake),
        await set(awake, { expiresAt: afterMs(100_001) }),
        (await given.end(await given.start(await given.instance(awake, 'ended', { expiresAt: made })))).instance,
      ];
      await writerOf(suite.harness.storage, suite.newOrg()).type();
      for (const limit of [100, 1, 2]) {
        const seen: string[] = [];
        for (;;) {
          const request = { now, acceptedBy, limit, after: seen.at(-1) ?? null };
          const page = await unwrap(port().due(org, request));
          seen.push(...page.map(({ instance }) => instance.id));
          for (const { instance, type, pending } of page) {
            expect(await unwrap(port().getInstance(org, instance.id))).toEqual(instance);
            expect(type).toEqual((await unwrap(port().getType(org, instance.typeId))).found);
            expect(pending?.id ?? null).toBe(instance.pendingChangeId);
          }
          if (page.length < limit) break;
        }
        expect(seen).toEqual([...seen].sort());
        expect(new Set(seen).size).toBe(seen.length);
        expect(due.map(({ id }) => id).filter((id) => !seen.includes(id))).toEqual([]);
        expect(seen).not.toContain(ignored.at(-1)!.id);
      }
      expect(await unwrap(port().due(suite.newOrg(), { now, acceptedBy, limit: 9, after: null }))).toEqual([]);
    });
  });

  describe('port of ephemeral environments: many at once', () => {
    const clients = suite.size.raceClients;
    const ports = async (): Promise<(index: number) => EphemeralRepository> => {
      const both = [suite.harness.storage.ephemeral, (await suite.other()).ephemeral];
      return (index) => both[index % 2]!;
    };
    const answerOf = (written: { readonly done: boolean; readonly refused?: string }) =>
      written.done ? 'done' : written.refused!;

    test('of all who want one of 10 places, exactly 10 get one', async () => {
      const { org, given } = inNewOrg();
      const at = await ports();
      const type = await given.type('T', { maxNumberOfInstances: 10 });
      const answers = await together(clients, async (index) =>
        answerOf(
          await unwrap(at(index).createInstance({ instance: instanceOf(type, `${index}`), change: changeIn(org) })),
        ),
      );
      expect(tally(answers)).toEqual({ done: 10, capacity_reached: clients - 10 });
      expect((await unwrap(port().getType(org, type.id))).found?.liveInstances).toBe(10);
    });

    test('a place and a name that become free are taken by one at most, and the count stays true', async () => {
      const { org, given } = inNewOrg();
      const at = await ports();
      const type = await given.type('T', { maxNumberOfInstances: 1 });
      let holder = await given.instance(type, 'the place');
      for (let round = 0; round < 10; round++) {
        const contenders = Array.from({ length: 8 }, () => instanceOf(type, 'the place'));
        const [end, ...answers] = await together(9, async (index) =>
          index === 0
            ? answerOf(
                await unwrap(
                  at(0).writeInstance({ instance: destroyed(holder), expectedVersion: 1, change: changeIn(org) }),
                ),
              )
            : answerOf(
                await unwrap(at(index).createInstance({ instance: contenders[index - 1]!, change: changeIn(org) })),
              ),
        );
        expect(end).toBe('done');
        const winners = contenders.filter((_one, index) => answers[index] === 'done');
        expect(winners.length).toBeLessThanOrEqual(1);
        expect((await unwrap(port().getType(org, type.id))).found?.liveInstances).toBe(winners.length);
        holder = winners[0] ?? (await given.instance(type, 'the place'));
      }
    });

    test('of many changes that start at once, one does; of many ends, one', async () => {
      const { org, given } = inNewOrg();
      const at = await ports();
      const type = await given.type();
      const instance = await given.instance(type);
      const starts = Array.from({ length: 20 }, () => started(instance));
      const begun = await together(20, async (index) =>
        answerOf(await unwrap(at(index).startChange({ ...starts[index]!, expectedVersion: 1, change: changeIn(org) }))),
      );
      expect(tally(begun)).toEqual({ done: 1, stale: 19 });
      const winner = starts[begun.indexOf('done')]!;
      const over = await together(20, async (index) => {
        const end = ended(winner, index % 2 === 0 ? 'passed' : 'failed');
        return answerOf(await unwrap(at(index).endChange({ ...end, expectedVersion: 2, change: changeIn(org) })));
      });
      expect(tally(over)).toEqual({ done: 1, stale: 19 });
      const passed = over.indexOf('done') % 2 === 0;
      const { found } = await unwrap(port().changeFacts(org, winner.stateChange.id));
      expect(found).toMatchObject({
        stateChange: { result: passed ? 'passed' : 'failed' },
        instance: { state: passed ? 'destroyed' : 'failed_deprovisioning', pendingChangeId: null, version: 3 },
        type: { liveInstances: passed ? 0 : 1 },
      });
    });

    test('a type that is deleted while instances are created has none', async () => {
      const { org, given } = inNewOrg();
      const at = await ports();
      for (let round = 0; round < 10; round++) {
        const type = await given.type();
        const [deleted, ...created] = await together(6, async (index) =>
          index === 0
            ? answerOf(
                await unwrap(
                  at(0).writeType({
                    type: next(type, { state: 'deleted' }),
                    previousNameKey: type.nameKey,
                    expectedVersion: 1,
                    change: changeIn(org),
                  }),
                ),
              )
            : answerOf(
                await unwrap(
                  at(index).createInstance({ instance: instanceOf(type, `${index}`), change: changeIn(org) }),
                ),
              ),
        );
        const { items } = (await unwrap(port().listInstances(org, { typeId: type.id }, { limit: 9, after: null })))!;
        expect(items).toHaveLength(deleted === 'done' ? 0 : 5);
        expect(new Set(created)).toEqual(new Set([deleted === 'done' ? 'type_not_ready' : 'done']));
      }
    });

    test('a secret that is written while its instance ends does not outlive it', async () => {
      const { org, given } = inNewOrg();
      const at = await ports();
      const type = await given.type();
      for (let round = 0; round < 10; round++) {
        const begun = await given.start(await given.instance(type));
        const answers = await together(6, async (index) =>
          index === 3
            ? answerOf(
                await unwrap(at(index).endChange({ ...ended(begun), expectedVersion: 2, change: changeIn(org) })),
              )
            : answerOf(
                await unwrap(
                  at(index).writeSecret({
                    secret: secretOf(begun.instance, `S${index}`),
                    stateChangeId: begun.stateChange.id,
                    change: changeIn(org),
                  }),
                ),
              ),
        );
        expect(answers[3]).toBe('done');
        expect(answers.filter((answer) => answer !== 'done' && answer !== 'not_pending')).toEqual([]);
        expect(await unwrap(port().secrets(org, begun.instance.id))).toEqual([]);
      }
    });
  });
}
