import process from 'node:process';
import { openEngineDesk } from './desk.ts';

/** Opens the engine desk of a vitest run, unless whoever started the run has opened one. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['VIVARIUM_ENGINE_DESK'] !== undefined) return undefined;
  const desk = await openEngineDesk();
  process.env['VIVARIUM_ENGINE_DESK'] = desk.address;
  return async () => {
    delete process.env['VIVARIUM_ENGINE_DESK'];
    await desk.close();
  };
}
