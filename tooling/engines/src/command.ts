import { spawn } from 'node:child_process';

/** The account that a command runs under, where that is not the caller's own. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface CommandOptions {
  readonly account?: Account | undefined;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until the command is killed. */
  readonly timeout?: number;
}

const tailLength = 2_000;

/** Runs a command to its end and returns what it wrote to its standard output. Rejects with the end of all it wrote when it fails. */
export function runCommand(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeout ?? 60_000,
      killSignal: 'SIGKILL',
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...options.account,
    });
    let output = '';
    let everything = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      everything += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      everything += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const ending = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
      reject(new Error(`\`${[command, ...args].join(' ')}\` ${ending}: ${everything.trim().slice(-tailLength)}`));
    });
  });
}
