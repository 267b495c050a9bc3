import { engineNames } from '../engines/src/index.ts';
import type { EngineName, Unavailable } from '../engines/src/index.ts';
import type { TestRecord } from './record.ts';

/** All that a test run came to. */
export interface TestRun {
  readonly records: readonly TestRecord[];
  /** How vitest ended: an exit code, or why it was ended. */
  readonly ending: { readonly code: number } | { readonly stopped: string };
  /** The engines that the run asked for. */
  readonly asked: readonly ({ readonly name: EngineName } | Unavailable)[];
  /** Whether every test was to run, so that an engine on which nothing ran is a failure. */
  readonly complete: boolean;
  /** Whether an engine that cannot be had on this machine is a failure. One that is installed and did not start always is. */
  readonly strict: boolean;
}

export interface Summary {
  readonly text: string;
  readonly passed: number;
  readonly failed: number;
}

interface Row {
  passed: number;
  failed: number;
  skipped: number;
  milliseconds: number;
}

const noEngine = 'no engine';

/** Counts a run by the engine that a test's title begins with (`[engine]`, or `[engine, under which circumstances]`), and tells everything that speaks against it. */
export function summarize(run: TestRun): Summary {
  const rows = countByEngine(run);
  const troubles = [...endingTroubles(run, rows), ...engineTroubles(run, rows), ...emptyTroubles(run)];

  const passed = sum(rows, 'passed');
  const failed = sum(rows, 'failed') + troubles.length;
  const missing = run.asked.filter((engine) => 'unavailable' in engine);
  const text = [
    table(rows, missing),
    ...missing.map(
      (engine) => `${engine.name} cannot be had: ${engine.unavailable}\n  what would help: ${engine.remedy}`,
    ),
    ...[...recordedErrors(run), ...troubles].map((trouble) => `FAILED  ${trouble}`),
    `${passed} passed, ${failed} failed`,
  ].join('\n\n');
  return { text, passed, failed };
}

function countByEngine({ records, asked }: TestRun): Map<string, Row> {
  const rows = new Map<string, Row>();
  const row = (name: string): Row => {
    const known = rows.get(name) ?? { passed: 0, failed: 0, skipped: 0, milliseconds: 0 };
    rows.set(name, known);
    return known;
  };

  for (const record of records) {
    if (record.kind === 'error') row(engineOf(record.suite)).failed += 1;
    if (record.kind !== 'test') continue;
    const counts = row(engineOf(record.suite));
    counts[record.state] += 1;
    counts.milliseconds += record.milliseconds;
  }
  for (const { name } of asked) row(name);
  return rows;
}

function engineOf(suite: string): string {
  return /^\[([\w+-]+)[\],]/.exec(suite)?.[1] ?? noEngine;
}

function recordedErrors({ records }: TestRun): string[] {
  return records.filter((record) => record.kind === 'error').map(({ where, message }) => `${where}: ${message}`);
}

function emptyTroubles({ records }: TestRun): string[] {
  const isExecuted = (record: TestRecord): boolean => record.kind === 'test' && record.state !== 'skipped';
  return records.some(isExecuted) ? [] : ['not a single test was executed'];
}

function endingTroubles({ records, ending }: TestRun, rows: Map<string, Row>): string[] {
  if ('stopped' in ending) {
    const ended = new Set(records.filter((record) => record.kind === 'file-ended').map(({ file }) => file));
    const queued = records.filter((record) => record.kind === 'file-queued').map(({ file }) => file);
    const unfinished = queued.filter((file) => !ended.has(file));
    return [`the run ${ending.stopped}; unfinished: ${unfinished.join(', ') || 'nothing'}`];
  }
  return ending.code === 0 || sum(rows, 'failed') > 0 ? [] : [`vitest ended with exit code ${ending.code}`];
}

function engineTroubles({ asked, complete, strict }: TestRun, rows: Map<string, Row>): string[] {
  return asked.flatMap((engine) => {
    const { passed, failed } = rows.get(engine.name)!;
    if ('unavailable' in engine)
      return (strict || engine.installed) && failed === 0 ? [`${engine.name} is missing`] : [];
    return complete && passed + failed === 0 ? [`nothing was executed on ${engine.name}`] : [];
  });
}

function table(rows: Map<string, Row>, missing: readonly Unavailable[]): string {
  const order = [noEngine, ...[...rows.keys()].filter((name) => !isEngine(name) && name !== noEngine), ...engineNames];
  const lines = order
    .filter((name) => rows.has(name))
    .map((name) => {
      const { passed, failed, skipped, milliseconds } = rows.get(name)!;
      const note = missing.some((engine) => engine.name === name) ? '  cannot be had' : '';
      return line(name, passed, failed, skipped, `${(milliseconds / 1_000).toFixed(1)} s`) + note;
    });
  return [line('engine', 'passed', 'failed', 'skipped', 'time'), ...lines].join('\n');
}

function line(name: string, ...cells: readonly (string | number)[]): string {
  return name.padEnd(20) + cells.map((cell) => String(cell).padStart(10)).join('');
}

function isEngine(name: string): boolean {
  return (engineNames as readonly string[]).includes(name);
}

function sum(rows: Map<string, Row>, column: 'passed' | 'failed'): number {
  return [...rows.values()].reduce((total, row) => total + row[column], 0);
}
