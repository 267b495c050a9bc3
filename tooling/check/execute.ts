import { spawnSync } from 'node:child_process';
import process from 'node:process';

/** Runs a command that says for itself what goes wrong; then this process ends too. */
export function execute(cwd: string, program: string, ...args: string[]): void {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`failed: ${program} ${args.join(' ')}${error === undefined ? '' : ` (${error.message})`}`);
  process.exit(1);
}
