import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** Stands between a client and a server on loopback, and knows what passes. */
export interface CountingProxy {
  /** The server's URL with the proxy's address in it. */
  readonly url: string;
  /**
   * How often, so far, a client has spoken after the server had: what it sends in one go, in however many pieces, is one round trip, and
   * what it sends only once it has heard an answer is another.
   */
  roundTrips(): number;
  /** Lets the next thing that a client says through, and ends the connection instead of passing the answer on. */
  swallowNextAnswer(): void;
  /** Ends all connections. New ones are let in. */
  cut(): void;
  stop(): Promise<void>;
}

export async function startCountingProxy(
  target: string,
  { delayMs = 0 }: { /** What each direction takes longer. */ readonly delayMs?: number } = {},
): Promise<CountingProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let roundTrips = 0;
  let swallow = false;

  const listener = createServer((client) => {
    const server = connect({ host: hostname, port: Number(port) });
    const end = () => {
      client.destroy();
      server.destroy();
    };
    let heard = true;
    let swallowing = false;

    client.on('data', (chunk) => {
      if (heard) roundTrips++;
      heard = false;
      if (swallow) swallowing = true;
      swallow = false;
      pass(chunk, server, delayMs);
    });
    server.on('data', (chunk) => {
      heard = true;
      if (swallowing) end();
      else pass(chunk, client, delayMs);
    });
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      open.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        open.delete(socket);
        end();
      });
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');

  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((listener.address() as AddressInfo).port);
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: url.href,
    roundTrips: () => roundTrips,
    swallowNextAnswer: () => {
      swallow = true;
    },
    cut,
    stop: async () => {
      listener.close();
      cut();
      await once(listener, 'close');
    },
  };
}

function pass(chunk: Uint8Array, to: Socket, delayMs: number): void {
  const write = () => {
    if (to.writable) to.write(chunk);
  };
  if (delayMs === 0) write();
  else setTimeout(write, delayMs);
}
