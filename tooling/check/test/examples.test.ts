/** The examples are programs that people read and run: each has to run to its end, and say what it is there to say. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

import { root } from '../run.ts';

const run = promisify(execFile);

test.each([
  ['quickstart', ['Staging', 'That is the whole of it']],
  ['ephemeral', ['3 got a place; 7 were told', 'sweep: time_out ada', 'has waited long enough']],
  [
    'previews',
    [
      '200 and 200; 1 comment, 1 runtime',
      '1 runtime is left',
      'waits for a person',
      'a report with another key: 401',
      'as its description says',
    ],
  ],
  ['builds', ['failed at 25: No space left on device', 'completed at 100', '25✗ → 25✗ → 25✗ → 25', 'of 201:']],
])('examples/%s', async (name, said) => {
  const main = join(root, 'examples', name, 'main.ts');
  const environment = { ...process.env, VIVARIUM_STORAGE: 'memory', NO_COLOR: '1' };
  const { stdout } = await run(process.execPath, [main], { env: environment, timeout: 50_000 });
  for (const words of said) expect(stdout).toContain(words);
});
