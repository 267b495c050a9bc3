import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { makeDataFolder } from './data-folder.ts';
import { EngineUnavailable } from './engine.ts';
import type { Engine, Server } from './engine.ts';
import { freePort } from './port.ts';
import { runServer } from './server.ts';

/** The DynamoDB emulator dynoxide, from npm. It keeps its tables in memory and takes any credentials and any region. */
export const dynamodb: Engine = {
  name: 'dynamodb',
  title: 'DynamoDB (dynoxide)',
  variable: 'VIVARIUM_TEST_DYNAMODB_URL',
  present: async () => emulator() !== undefined,
  obtain: async () => {
    if (emulator() !== undefined) return;
    throw new EngineUnavailable(`npm brought no DynamoDB emulator for ${process.platform}-${process.arch}`);
  },
  start: startEmulator,
};

function emulator(): string | undefined {
  try {
    const description = createRequire(import.meta.url).resolve(
      `@dynoxide/${process.platform}-${process.arch}/package.json`,
    );
    const program = join(dirname(description), 'dynoxide');
    return existsSync(program) ? program : undefined;
  } catch {
    return undefined;
  }
}

async function startEmulator(): Promise<Server> {
  const port = await freePort();
  const server = await runServer({
    command: emulator()!,
    args: ['serve', '--host', '127.0.0.1', '--port', String(port)],
    folder: await makeDataFolder('dynamodb', undefined),
    readyWhen: `${port}`,
    stopSignal: 'SIGKILL',
  });
  return { url: `http://127.0.0.1:${port}`, stop: server.stop };
}
