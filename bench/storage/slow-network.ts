import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A way to a server that takes longer: every packet from the client waits for so many milliseconds, which is then what a round trip costs more. */
export async function slowNetwork(url: string, delayMs: number): Promise<{ readonly url: string; close(): void }> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (packet) => setTimeout(() => server.write(packet), delayMs));
    server.on('data', (packet) => client.write(packet));
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));

  const through = new URL(url);
  through.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return {
    url: through.href,
    close: () => {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
