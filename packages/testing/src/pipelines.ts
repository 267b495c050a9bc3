import type { PipelineRunner, PipelineStart } from '@vivarium/core';

/** A runner for tests: remembers what it was asked to start, and answers as told. */
export interface RecordingRunner extends PipelineRunner {
  readonly started: readonly PipelineStart[];
  readonly canceled: readonly string[];
  /** How the next starts end: taken on (the default), refused, or nobody knows. */
  answer: 'accepts' | 'refuses' | 'is lost';
  /** The token of the latest start of this change. */
  tokenOf(stateChangeId: string): string;
}

export function recordingRunner(): RecordingRunner {
  const started: PipelineStart[] = [];
  const canceled: string[] = [];
  const runner: RecordingRunner = {
    started,
    canceled,
    answer: 'accepts',
    start: async (start) => {
      started.push(start);
      if (runner.answer === 'refuses') throw Object.assign(new Error('no such pipeline'), { refused: true });
      if (runner.answer === 'is lost') throw new Error('the connection was lost');
      return { executionPipelineId: 'pipeline 1', executionId: `execution of ${start.stateChange.id}` };
    },
    cancel: async ({ stateChange }) => void canceled.push(stateChange.id),
    tokenOf: (id) => {
      const start = started.findLast(({ stateChange }) => stateChange.id === id);
      if (start === undefined) throw new Error(`${id} was never started`);
      return start.token;
    },
  };
  return runner;
}
