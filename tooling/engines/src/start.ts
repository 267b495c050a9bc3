import process from 'node:process';
import { engines } from './catalogue.ts';
import type { Engine, EngineName, RunningEngine, Server, Unavailable } from './engine.ts';

/** The URL that the environment names for an engine, if it does. */
export function ownUrl(name: EngineName): string | undefined {
  const { variable } = engines[name];
  return variable === undefined ? undefined : process.env[variable] || undefined;
}

/**
 * Returns a running engine, or why there is none: never rejects.
 *
 * Where the environment names a URL for the engine, that server is used and left running. Otherwise the engine is obtained if need be and
 * started fresh and empty on a free loopback port. It ends with {@link RunningEngine.stop}, and at the latest with this process.
 */
export async function startEngine(name: EngineName): Promise<RunningEngine | Unavailable> {
  const url = ownUrl(name);
  if (url !== undefined) return { name, url, stop: async () => {} };
  const missing = await obtainEngine(name);
  if (missing !== undefined) return missing;
  try {
    return { name, ...(await startOnFreePort(engines[name])) };
  } catch (cause) {
    return unavailable(engines[name], cause, true);
  }
}

/** Between finding a free port and listening on it, somebody else may take it. */
async function startOnFreePort(engine: Engine, attempts = 3): Promise<Server> {
  try {
    return await engine.start();
  } catch (cause) {
    if (attempts === 1 || !/address already in use/i.test(String(cause))) throw cause;
    return startOnFreePort(engine, attempts - 1);
  }
}

/** Installs what an engine needs, where it is not there yet. Returns why it cannot be had, or `undefined`. Never rejects. */
export async function obtainEngine(name: EngineName): Promise<Unavailable | undefined> {
  if (ownUrl(name) !== undefined) return undefined;
  try {
    await engines[name].obtain();
    return undefined;
  } catch (cause) {
    return unavailable(engines[name], cause, false);
  }
}

function unavailable({ name, variable }: Engine, cause: unknown, installed: boolean): Unavailable {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
  const docker = `\`docker compose up --detach ${name}\` and ${variable} set as compose.yaml says`;
  const remedy = installed ? docker : `a Debian 12 with root and its mirror in reach, or ${docker}`;
  return { name, unavailable: reason, installed, remedy };
}
