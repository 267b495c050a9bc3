import { signReport, unwrap } from '@vivarium/core';
import type { Preview } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { everything } from './paging.ts';
import { previewing } from './previews-making.ts';
import type { Suite } from './suite.ts';

/** What runtimes say of their runs: only what is theirs to say, and only as long as it is news. */
export function testPreviewReports(suite: Suite): void {
  describe('reports of previews', () => {
    test('a report that is not signed with the key of its run is refused, and nothing of it is kept', async () => {
      const here = await previewing(suite);
      const { client, org, outside, create, deliver, running } = here;
      const preview = await running();
      const other = await create('a', { pullRequest: 2 });
      await deliver();
      await unwrap(client.previews.restart(preview.id));
      await deliver();
      const keyOf = (run: string) => outside.made(run).reportKey.reveal();
      const [ofTheRun, before, foreign] = [`${preview.id}-2`, `${preview.id}-1`, `${other.id}-1`].map(keyOf);
      const body = bodyOf(org, preview, { generation: 2, sequence: 1, status: 'running' });
      const { signature } = signReport(body, ofTheRun!);
      const entries = await suite.harness.raw.count('journal', org);
      const now = await here.now(preview);
      for (const forged of [
        { body, signature: '' },
        { body, signature: signature.slice('sha256='.length) },
        { body, signature: signature.toUpperCase() },
        { body, signature: `${signature.slice(0, -1)}${signature.endsWith('0') ? '1' : '0'}` },
        { body, signature: signature.slice(0, -2) },
        { body: `${body} `, signature },
        { body: body.replace('"running"', '"error"'), signature },
        signReport(body, before!),
        signReport(body, foreign!),
        signReport(body, ''),
        // The key of one run does not speak for another, be it earlier or later.
        signReport(bodyOf(org, preview, { generation: 1, sequence: 9, status: 'running' }), ofTheRun!),
        signReport(bodyOf(org, preview, { generation: 3, sequence: 1, status: 'running' }), ofTheRun!),
        signReport(bodyOf(org, other, { generation: 1, sequence: 1, status: 'running' }), ofTheRun!),
        signReport(bodyOf('another-org', preview, { generation: 2, sequence: 1, status: 'running' }), ofTheRun!),
        signReport(
          bodyOf(
            org,
            { id: '00000000-0000-7000-8000-00000000dead' },
            { generation: 2, sequence: 1, status: 'running' },
          ),
          ofTheRun!,
        ),
      ]) {
        await refused(client.previews.report(forged), 'invalid_signature');
      }
      expect(await here.now(preview)).toEqual(now);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await unwrap(client.previews.report({ body, signature }))).toEqual({ applied: true, why: 'applied' });
    });

    test('no two runs, and no two previews, have the same key', async () => {
      const { client, outside, create, deliver, running } = await previewing(suite);
      const preview = await running();
      await create('a', { pullRequest: 2 });
      await deliver();
      await unwrap(client.previews.restart(preview.id));
      await deliver();
      const keys = [outside.made(`${preview.id}-1`), ...outside.runtimes.map(({ request }) => request)];
      expect(new Set(keys.map(({ reportKey }) => reportKey.reveal())).size).toBe(3);
    });

    test('before its first run there is no key that a report could be signed with', async () => {
      const { client, org, create } = await previewing(suite);
      const preview = await create();
      const body = bodyOf(org, preview, { generation: 1, sequence: 1, status: 'running' });
      for (const key of ['', 'null', preview.id]) {
        await refused(client.previews.report(signReport(body, key)), 'invalid_signature');
      }
    });

    test('of an older run, older than what is known, or out of place: journalled, and nothing changes', async () => {
      const here = await previewing(suite);
      const { client, org, running, report, deliver } = here;
      const preview = await running();
      const ignored = async (why: string, said: Parameters<typeof report>[1], generation?: number) => {
        const before = await here.now(preview);
        const deployment = await unwrap(client.deployments.latest(preview.id));
        expect(await report(preview, said, generation)).toBe(why);
        expect(await here.now(preview)).toEqual(before);
        expect(await unwrap(client.deployments.latest(preview.id))).toEqual(deployment);
        const [entry] = (await unwrap(client.journal.list({ limit: 1 }))).items;
        expect(entry).toMatchObject({
          orgId: org,
          action: 'preview.report_ignored',
          subject: { type: 'project_environment', id: preview.id },
          data: { why, status: said.status, sequence: said.sequence },
        });
        expect(entry!.stream).toBe(entry!.id);
      };
      await ignored('older_report', { status: 'error', sequence: 1 });
      await ignored('out_of_place', { status: 'running', sequence: 5 });
      await ignored('out_of_place', { status: 'error', sequence: 6, reason: 'too late' });
      await unwrap(client.previews.restart(preview.id));
      await ignored('older_run', { status: 'error', sequence: 100 }, 1);
      await deliver();
      await ignored('older_run', { status: 'running', sequence: 101 }, 1);
      // A new run counts its reports anew.
      expect(await report(preview, { status: 'tests_started', sequence: 1 })).toBe('applied');
      await ignored('older_report', { status: 'running', sequence: 1 });
      expect(await report(preview, { status: 'running', sequence: 7 })).toBe('applied');
      await ignored('older_report', { status: 'error', sequence: 6 });
      await unwrap(client.previews.stop(preview.id));
      await ignored('out_of_place', { status: 'error', sequence: 8 });
      await deliver();
      await ignored('out_of_place', { status: 'running', sequence: 9 });
      expect(await here.now(preview)).toMatchObject({ status: 'stopped', url: null });
    });

    test('the same report twice counts once', async () => {
      const { client, outside, create, deliver } = await previewing(suite);
      const preview = await create();
      await deliver();
      const report = outside.report(`${preview.id}-1`, { status: 'running' });
      expect(await unwrap(client.previews.report(report))).toEqual({ applied: true, why: 'applied' });
      for (let times = 0; times < 3; times++) {
        expect(await unwrap(client.previews.report(report))).toEqual({ applied: false, why: 'older_report' });
      }
    });

    test.each(['tests_started', 'running', 'error'] as const)(
      'a runtime that is quicker with its report than the worker with its record: %s',
      async (status) => {
        const here = await previewing(suite);
        const { client, outside, create, deliver, report, now } = here;
        const preview = await create();
        outside.after('create', async () => {
          expect(await report(preview, { status, url: 'https://early.example.com' })).toBe('applied');
          const to = status === 'tests_started' ? 'running_tests' : status;
          expect(await now(preview)).toMatchObject({ status: to, runtimeId: null, hasRuntime: true });
        });
        expect((await deliver())[0]).toBe('deploying');
        const runtime = outside.runtimes[0]!;
        expect(await now(preview)).toMatchObject({ runtimeId: runtime.runtimeId, reportSequence: 1, generation: 1 });
        const statuses = { tests_started: 'running', running: 'success', error: 'failed' };
        expect(await unwrap(client.deployments.latest(preview.id))).toMatchObject({ status: statuses[status] });
        expect(outside.runtimes).toEqual([runtime]);
      },
    );

    test('a report does not displace a stop that waits', async () => {
      const { client, outside, create, deliver, report, now } = await previewing(suite);
      const preview = await create();
      outside.after('create', async () => {
        await unwrap(client.previews.stop(preview.id));
        expect(await report(preview, { status: 'running' })).toBe('applied');
        expect(await now(preview)).toMatchObject({ status: 'stopping', stopCause: 'asked' });
      });
      await deliver();
      expect(await now(preview)).toMatchObject({ status: 'stopped' });
      expect(outside.runtimes).toEqual([]);
    });

    test('what a report does not say stays as it was said before, and a new run begins with none of it', async () => {
      const { client, create, deliver, report, now } = await previewing(suite);
      const preview = await create();
      await deliver();
      await report(preview, { status: 'tests_started', url: 'https://one.example.com' });
      await report(preview, { status: 'running', tests: 'failed' });
      const said = { url: 'https://one.example.com', tests: 'failed', reason: null };
      expect(await now(preview)).toMatchObject(said);
      await unwrap(client.previews.restart(preview.id));
      expect(await now(preview)).toMatchObject({ tests: null, reason: null });
      await deliver();
      await report(preview, { status: 'error' });
      expect(await now(preview)).toMatchObject({ status: 'error', reason: 'the runtime reported an error' });
    });

    test('each report that counts is one entry of its environment', async () => {
      const { client, running } = await previewing(suite);
      const preview = await running();
      const entries = await everything((page) =>
        client.journal.list({
          subject: { type: 'project_environment', id: preview.id },
          action: 'preview.running',
          ...page,
        }),
      );
      expect(entries).toMatchObject([{ data: { status: 'running', generation: 1 }, actor: { id: 'ada' } }]);
    });
  });
}

function bodyOf(
  orgId: string,
  { id }: Pick<Preview, 'id'>,
  said: { readonly generation: number; readonly sequence: number; readonly status: string },
): string {
  return JSON.stringify({ version: 1, orgId, projectEnvironmentId: id, ...said });
}
