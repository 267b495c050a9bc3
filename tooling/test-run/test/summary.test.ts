import { describe, expect, test } from 'vitest';
import type { TestRecord } from '../record.ts';
import { summarize } from '../summary.ts';
import type { TestRun } from '../summary.ts';

const result = (suite: string, state: 'passed' | 'failed' | 'skipped' = 'passed'): TestRecord => ({
  kind: 'test',
  file: 'some.test.ts',
  suite,
  state,
  milliseconds: 500,
});

const run = (change: Partial<TestRun>): TestRun => ({
  records: [result('limits')],
  ending: { code: 0 },
  asked: [],
  complete: false,
  strict: false,
  ...change,
});

const missing = { name: 'mysql-9', unavailable: 'no root', installed: false, remedy: 'run as root' } as const;
const lastLine = (text: string): string | undefined => text.split('\n').at(-1);

describe('the summary of a test run', () => {
  test('counts tests by the engine in front of their title, and the others under no engine', () => {
    const records = [
      result('[mysql-9] projects'),
      result('[mysql-9, a hostile pool] races', 'failed'),
      result('[memory] projects'),
      result('a'),
    ];
    const { text } = summarize(run({ records: [...records, result('b', 'skipped')], asked: [{ name: 'mysql-9' }] }));
    expect(
      text
        .split('\n')
        .slice(0, 4)
        .map((row) => row.split(/ {2,}/)),
    ).toEqual([
      ['engine', 'passed', 'failed', 'skipped', 'time'],
      ['no engine', '1', '0', '1', '1.0 s'],
      ['memory', '1', '0', '0', '0.5 s'],
      ['mysql-9', '1', '1', '0', '1.0 s'],
    ]);
    expect(lastLine(text)).toBe('3 passed, 1 failed');
  });

  const cases: readonly { when: string; of: Partial<TestRun>; ends: string; says?: string }[] = [
    { when: 'all passed', of: {}, ends: '1 passed, 0 failed' },
    { when: 'one failed', of: { records: [result('a', 'failed')], ending: { code: 1 } }, ends: '0 passed, 1 failed' },
    { when: 'none was executed', of: { records: [] }, ends: '0 passed, 1 failed', says: 'not a single test' },
    {
      when: 'all were skipped',
      of: { records: [result('a', 'skipped')] },
      ends: '0 passed, 1 failed',
      says: 'not a single test',
    },
    {
      when: 'a hook failed outside of the tests',
      of: {
        records: [result('a'), { kind: 'error', where: 'b.test.ts', suite: '', message: 'no table' }],
        ending: { code: 1 },
      },
      ends: '1 passed, 1 failed',
      says: 'b.test.ts: no table',
    },
    {
      when: 'vitest failed for a reason of its own',
      of: { ending: { code: 1 } },
      ends: '1 passed, 1 failed',
      says: 'exit code 1',
    },
    {
      when: 'the run was stopped',
      of: {
        records: [
          { kind: 'file-queued', file: 'fast.test.ts' },
          { kind: 'file-queued', file: 'hung.test.ts' },
          result('a'),
          { kind: 'file-ended', file: 'fast.test.ts' },
        ],
        ending: { stopped: 'was stopped after 40 minutes' },
      },
      ends: '1 passed, 1 failed',
      says: 'after 40 minutes; unfinished: hung.test.ts',
    },
    {
      when: 'an engine is missing',
      of: { asked: [missing] },
      ends: '1 passed, 0 failed',
      says: 'what would help: run as root',
    },
    {
      when: 'an engine is missing and must not',
      of: { asked: [missing], strict: true },
      ends: '1 passed, 1 failed',
      says: 'mysql-9 is missing',
    },
    {
      when: 'an engine is installed and did not start',
      of: { asked: [{ ...missing, installed: true }] },
      ends: '1 passed, 1 failed',
      says: 'mysql-9 is missing',
    },
    {
      when: 'a missing engine failed a test already',
      of: {
        asked: [missing],
        strict: true,
        records: [result('[mysql-9] cannot be had', 'failed')],
        ending: { code: 1 },
      },
      ends: '0 passed, 1 failed',
    },
    {
      when: 'nothing ran on an engine in a complete run',
      of: { asked: [{ name: 'mariadb' }], complete: true },
      ends: '1 passed, 1 failed',
      says: 'nothing was executed on mariadb',
    },
    {
      when: 'nothing ran on an engine in a partial run',
      of: { asked: [{ name: 'mariadb' }] },
      ends: '1 passed, 0 failed',
    },
  ];

  test.each(cases)('when $when: $ends', ({ of, ends, says }) => {
    const { text } = summarize(run(of));
    expect(lastLine(text)).toBe(ends);
    if (says !== undefined) expect(text).toContain(says);
  });
});
