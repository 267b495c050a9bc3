/** What a test run writes down as it goes, one JSON object a line, so that even a run that hangs or is killed can be counted. */
export type TestRecord =
  | { readonly kind: 'file-queued'; readonly file: string }
  | { readonly kind: 'file-ended'; readonly file: string }
  | {
      readonly kind: 'test';
      readonly file: string;
      /** Title of the outermost `describe`, or of the test itself where there is none. */
      readonly suite: string;
      readonly state: 'passed' | 'failed' | 'skipped';
      readonly milliseconds: number;
    }
  /** Something failed outside of every test: an import, a hook, a promise that nobody awaited. */
  | { readonly kind: 'error'; readonly where: string; readonly suite: string; readonly message: string };

/** The environment variable that names the file to write to. */
export const recordVariable = 'VIVARIUM_TEST_RECORD';
