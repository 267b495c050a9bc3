/**
 * Runs all tests on all engines: `npm test`. Arguments go to vitest: `npm test -- packages/core -t rename`.
 *
 * It opens the engine desk, and in a run of everything has all engines installed and started while the tests that need none are running.
 * It ends with a table by engine and the line `N passed, N failed`; exit code 0 means that nothing failed. With `CI=true` an engine
 * that cannot be had has failed. A run that hangs is ended after `VIVARIUM_TEST_MINUTES` (75).
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { engineNames, openEngineDesk } from './engines/src/index.ts';
import { recordVariable } from './test-run/record.ts';
import type { TestRecord } from './test-run/record.ts';
import { summarize } from './test-run/summary.ts';
import type { TestRun } from './test-run/summary.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const minutes = Number(process.env['VIVARIUM_TEST_MINUTES'] ?? 75);
const args = process.argv.slice(2);
const complete = args.length === 0;

const desk = await openEngineDesk();
if (complete) for (const name of engineNames) void desk.ask(name);

const folder = mkdtempSync(join(tmpdir(), 'vivarium-test-run-'));
const recordFile = join(folder, 'record.jsonl');
const ending = await runVitest();
const asked = await desk.answers();
const summary = summarize({ records: readRecords(), ending, asked, complete, strict: process.env['CI'] === 'true' });
rmSync(folder, { recursive: true });
await Promise.race([desk.close(), pause(30_000)]);
console.log(`\n${summary.text}`);
process.exit(summary.failed === 0 ? 0 : 1);

/** Runs vitest as the leader of a process group: a test that spins for ever does not hear anything gentler than the end of its group. */
async function runVitest(): Promise<TestRun['ending']> {
  const reporters = [`--reporter=${join(root, 'tooling/test-run/reporter.ts')}`];
  if (!args.some((argument) => argument.startsWith('--reporter'))) reporters.unshift('--reporter=default');
  const command = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--allowOnly=false', ...reporters, ...args];
  const vitest = spawn(process.execPath, command, {
    cwd: root,
    stdio: 'inherit',
    detached: process.platform !== 'win32',
    env: { ...process.env, VIVARIUM_ENGINE_DESK: desk.address, [recordVariable]: recordFile },
  });

  let stopped: string | undefined;
  const stop = (reason: string): void => {
    stopped ??= reason;
    endGroup(vitest);
  };
  const bound = setTimeout(() => stop(`was stopped after ${minutes} minutes`), minutes * 60_000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop(`was stopped by ${signal}`));

  const [code] = (await once(vitest, 'exit')) as [number | null];
  clearTimeout(bound);
  return stopped === undefined ? { code: code ?? 1 } : { stopped };
}

function endGroup(leader: ChildProcess): void {
  if (process.platform === 'win32') leader.kill();
  else if (leader.pid !== undefined && leader.exitCode === null) process.kill(-leader.pid, 'SIGKILL');
}

function readRecords(): TestRecord[] {
  if (!existsSync(recordFile)) return [];
  const lines = readFileSync(recordFile, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as TestRecord);
}
