import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { engines } from './catalogue.ts';
import type { EngineName, RunningEngine, Unavailable } from './engine.ts';
import { startEngine } from './start.ts';

/** What a test gets to know of a running engine: starting and stopping it is the desk's business. */
export type AvailableEngine = Pick<RunningEngine, 'name' | 'url'>;

/**
 * The place in a test run's main process where every worker asks for engines.
 * An engine is started when it is first asked for, once, and shared by everyone who asks.
 */
export interface EngineDesk {
  readonly address: string;
  ask(name: EngineName): Promise<RunningEngine | Unavailable>;
  /** What everyone who asked was told so far. */
  answers(): Promise<(RunningEngine | Unavailable)[]>;
  /** Stops every engine that was started. */
  close(): Promise<void>;
}

export async function openEngineDesk(): Promise<EngineDesk> {
  const asked = new Map<EngineName, Promise<RunningEngine | Unavailable>>();
  const ask = (name: EngineName): Promise<RunningEngine | Unavailable> => {
    const known = asked.get(name) ?? startEngine(name);
    asked.set(name, known);
    return known;
  };
  const answers = (): Promise<(RunningEngine | Unavailable)[]> => Promise.all(asked.values());

  const server = createServer((request, response) => {
    const name = request.url?.slice(1) ?? '';
    if (!Object.hasOwn(engines, name)) return void response.writeHead(404).end();
    ask(name as EngineName).then(
      (engine) => response.end(JSON.stringify(engine)),
      (error: Error) => response.destroy(error),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ask,
    answers,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await Promise.all((await answers()).flatMap((answer) => ('stop' in answer ? [answer.stop()] : [])));
    },
  };
}

/** Asks the desk at `address` for an engine and waits until it is there, however long obtaining it takes. */
export async function askAtDesk(address: string, name: EngineName): Promise<AvailableEngine | Unavailable> {
  // Not `fetch`: it gives up on an answer after five minutes.
  const request = get(`${address}/${name}`, { agent: false });
  const [response] = await once(request, 'response');
  const body = (await response.setEncoding('utf8').toArray()).join('');
  if (response.statusCode !== 200) throw new Error(`there is no engine configuration \`${name}\``);
  return JSON.parse(body) as AvailableEngine | Unavailable;
}
