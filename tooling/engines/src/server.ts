import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Account } from './command.ts';

/** A server to run, with a data folder that goes away with it. */
export interface ServerProcess {
  readonly command: string;
  readonly args: readonly string[];
  /** Where it runs and keeps its data. Removed when it has ended. */
  readonly folder: string;
  readonly account?: Account | undefined;
  /** What it writes when it takes connections. */
  readonly readyWhen: string;
  /** The fastest way to end it: nobody reads its data again. */
  readonly stopSignal: 'SIGKILL' | 'SIGQUIT';
}

/** What the keeper of a server says of it, once. */
export type KeeperReport = { readonly ready: true } | { readonly ready: false; readonly reason: string };

const startTimeout = 60_000;

/** Runs a server until `stop`, or until this process ends. Resolves when the server takes connections. */
export async function runServer(server: ServerProcess): Promise<{ stop(): Promise<void> }> {
  const keeper = spawn(process.execPath, [fileURLToPath(new URL('./keeper.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = once(keeper, 'close');
  const stop = async (): Promise<void> => {
    keeper.ref();
    (keeper.stdout as Socket).ref();
    keeper.stdin.end();
    await ended;
  };

  keeper.stdin.write(`${JSON.stringify(server)}\n`);
  const report = await Promise.race([
    once(createInterface({ input: keeper.stdout }), 'line').then(
      ([line]) => JSON.parse(line as string) as KeeperReport,
    ),
    ended.then((): KeeperReport => ({ ready: false, reason: 'its keeper ended' })),
    expiry(startTimeout).then((): KeeperReport => ({ ready: false, reason: `silent for ${startTimeout / 1_000} s` })),
  ]);
  if (!report.ready) {
    await stop();
    throw new Error(`${server.command} did not start: ${report.reason}`);
  }

  // A process that is done may end without stopping its servers: their keepers notice.
  keeper.unref();
  (keeper.stdin as Socket).unref();
  (keeper.stdout as Socket).unref();
  return { stop };
}

function expiry(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
