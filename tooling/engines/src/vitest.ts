import process from 'node:process';
import { describe, test } from 'vitest';
import { askAtDesk } from './desk.ts';
import type { AvailableEngine } from './desk.ts';
import type { EngineName, Unavailable } from './engine.ts';

export type { AvailableEngine } from './desk.ts';

/** Returns a running engine that this test run shares, started if nobody asked for it before, or why there is none. */
export async function askForEngine(name: EngineName): Promise<AvailableEngine | Unavailable> {
  const desk = process.env['VIVARIUM_ENGINE_DESK'];
  if (desk === undefined)
    throw new Error('the engine desk is closed: vitest runs without the global setup of vitest.config.ts');
  return askAtDesk(desk, name);
}

/**
 * Registers `suite` once for each engine, one after the other. Await it at the top level of a test file.
 *
 * An engine that cannot be had is never passed over in silence: a test takes its place that says why and what would help, and that fails
 * with `CI=true`, and always where the engine is installed and did not start. Begin the title of a top-level `describe` with the engine's name in brackets: results are counted by it.
 *
 * @example
 * await describeOnEngines(['postgres-18', 'postgres-15'], (engine) => {
 *   describe(`[${engine.name}] environments`, () => {});
 * });
 */
export async function describeOnEngines(
  names: readonly EngineName[],
  suite: (engine: AvailableEngine) => void,
): Promise<void> {
  for (const engine of await Promise.all(names.map(askForEngine))) {
    if ('unavailable' in engine) describeUnavailable(engine);
    else suite(engine);
  }
}

function describeUnavailable({ name, unavailable, installed, remedy }: Unavailable): void {
  const notice = `${name} cannot be had: ${unavailable}. What would help: ${remedy}`;
  describe(`[${name}] cannot be had`, () => {
    test('names the reason', (context) => {
      if (installed || process.env['CI'] === 'true') throw new Error(notice);
      console.warn(notice);
      context.skip(notice);
    });
  });
}
