/**
 * A process that keeps one server for as long as the process that asked for it lives.
 *
 * It reads what to run from the first line of its standard input and stops the server when that input ends. An input ends when its other
 * side closes it and also when the other side dies, of Ctrl-C, of SIGKILL, of a crash: so no server and no data folder is left behind,
 * and the process that asked needs no signal handlers. It runs in a session of its own, out of reach of the terminal's Ctrl-C.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { KeeperReport, ServerProcess } from './server.ts';

const tailLength = 4_000;

const input = createInterface({ input: process.stdin });
input.once('line', (line) => keep(JSON.parse(line) as ServerProcess));

function keep(order: ServerProcess): void {
  const server = spawn(order.command, order.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: order.folder,
    ...order.account,
  });
  let ready = false;
  let stopping = false;
  let log = '';

  const read = (text: string): void => {
    log = (log + text).slice(-tailLength);
    if (ready || !log.includes(order.readyWhen)) return;
    ready = true;
    report({ ready: true });
  };
  server.stdout.setEncoding('utf8').on('data', read);
  server.stderr.setEncoding('utf8').on('data', read);

  const end = (reason: string): void => {
    rmSync(order.folder, { recursive: true, force: true, maxRetries: 10 });
    if (!stopping && !ready) report({ ready: false, reason: `${reason}: ${log.trim()}` });
    if (!stopping && ready) process.stderr.write(`${order.command} ended by itself, ${reason}: ${log.trim()}\n`);
    process.exit();
  };
  server.once('error', (cause) => end(cause.message));
  server.once('close', (code, signal) => end(code === null ? `ended by ${signal}` : `exit code ${code}`));

  input.once('close', () => {
    stopping = true;
    server.kill(order.stopSignal);
    setTimeout(() => server.kill('SIGKILL'), 10_000);
  });
}

function report(message: KeeperReport): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
