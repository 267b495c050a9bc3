import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';

export interface Program {
  /** Resolves when the program has written `text`, with all it wrote so far. */
  says(text: string): Promise<string>;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Runs an ES module, given as text, in a process of its own. */
export function runProgram(text: string): Program {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', text], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'exit');
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  return {
    says: async (wanted) => {
      while (!output.includes(wanted)) {
        if (child.exitCode !== null) throw new Error(`the program ended before it said ${wanted}: ${output}`);
        await once(child.stdout, 'data');
      }
      return output;
    },
    end: async (signal) => {
      child.kill(signal);
      await closed;
    },
  };
}
