import { appendFileSync } from 'node:fs';
import process from 'node:process';
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from 'vitest/node';
import { recordVariable } from './record.ts';
import type { TestRecord } from './record.ts';

/** Writes the test record of a vitest run. A default export, because vitest loads a reporter by its path so. */
export default class RecordingReporter implements Reporter {
  onTestModuleQueued(file: TestModule): void {
    write({ kind: 'file-queued', file: file.relativeModuleId });
  }

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state === 'pending') return;
    const milliseconds = test.diagnostic()?.duration ?? 0;
    write({ kind: 'test', file: test.module.relativeModuleId, suite: outermost(test), state, milliseconds });
  }

  onTestSuiteResult(suite: TestSuite): void {
    const where = `${suite.module.relativeModuleId} > ${suite.fullName}`;
    for (const { message } of suite.errors()) write({ kind: 'error', where, suite: outermost(suite), message });
  }

  onTestModuleEnd(file: TestModule): void {
    const where = file.relativeModuleId;
    for (const { message } of file.errors()) write({ kind: 'error', where, suite: '', message });
    write({ kind: 'file-ended', file: where });
  }

  onTestRunEnd(_files: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    for (const { message } of unhandled) write({ kind: 'error', where: 'outside of every test', suite: '', message });
  }
}

function outermost(task: TestCase | TestSuite): string {
  return task.parent.type === 'module' ? task.name : outermost(task.parent);
}

function write(record: TestRecord): void {
  const file = process.env[recordVariable];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(record)}\n`);
}
