import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server saw of a request. */
export interface Seen {
  readonly path: string;
  readonly token: string | null;
  readonly body: unknown;
}

/** The service that the rendered requests are sent to: a server on the loopback interface that answers with what it saw. */
export async function startServer(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      const seen: Seen = {
        path: request.url ?? '',
        token: request.headers.authorization ?? null,
        body: text === '' ? null : JSON.parse(text),
      };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(seen));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
