import process from 'node:process';
import { engines } from './catalogue.ts';
import type { Engine, EngineName, RunningEngine, Unavailable } from './engine.ts';

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
  const engine = engines[name];
  try {
    await engine.obtain();
    return { name, ...(await engine.start()) };
  } catch (cause) {
    return unavailable(engine, cause);
  }
}

/** Installs what an engine needs, where it is not there yet. Returns why it cannot be had, or `undefined`. Never rejects. */
export async function obtainEngine(name: EngineName): Promise<Unavailable | undefined> {
  if (ownUrl(name) !== undefined) return undefined;
  try {
    await engines[name].obtain();
    return undefined;
  } catch (cause) {
    return unavailable(engines[name], cause);
  }
}

function unavailable({ name, variable }: Engine, cause: unknown): Unavailable {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
  const docker = `start one with \`docker compose up --detach ${name}\` and set ${variable} as compose.yaml says`;
  return { name, unavailable: reason, remedy: `run as root on Debian 12 with its mirror in reach, or ${docker}` };
}
