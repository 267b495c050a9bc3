import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a peer has received. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly at: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Serves on a free loopback port until the test is over. Gives the address. */
export async function serve(listener: (...exchange: Parameters<RequestListener>) => unknown): Promise<string> {
  const server = createServer((request, response) => void listener(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A peer that answers its n-th request with the n-th answer, later ones with the last, and remembers them. `hang` answers nothing. */
export async function peer(...answers: readonly (Answer | 'hang' | 'hang up')[]): Promise<{
  readonly url: string;
  readonly received: Received[];
}> {
  const received: Received[] = [];
  const url = await serve(async (request, response) => {
    const body = (await request.setEncoding('utf8').toArray()).join('');
    received.push({ path: request.url ?? '', headers: request.headers, body, at: performance.now() });
    const answer = answers[Math.min(received.length, answers.length) - 1]!;
    if (answer === 'hang') return;
    if (answer === 'hang up') return void request.socket.destroy();
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  return { url, received };
}

/** An address at which nobody listens any more. */
export async function nobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}
