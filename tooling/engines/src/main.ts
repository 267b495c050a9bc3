/**
 * Real databases for one's own use:
 *
 *   node tooling/engines/src/main.ts list
 *   node tooling/engines/src/main.ts obtain [engine …]
 *   node tooling/engines/src/main.ts start <engine>
 *
 * `start` prints the URL on a line of its own and keeps the server until Ctrl-C or SIGTERM.
 */
import { once } from 'node:events';
import process from 'node:process';
import { engines } from './catalogue.ts';
import { engineNames } from './engine.ts';
import type { EngineName } from './engine.ts';
import { obtainEngine, ownUrl, startEngine } from './start.ts';

const [command, ...names] = process.argv.slice(2);

if (command === 'list') await list();
else if (command === 'obtain' && names.every(isEngineName)) await obtain(names.length === 0 ? engineNames : names);
else if (command === 'start' && names.length === 1 && isEngineName(names[0])) await start(names[0]);
else {
  console.error(`usage: main.ts list | obtain [engine …] | start <engine>\nengines: ${engineNames.join(', ')}`);
  process.exitCode = 2;
}

function isEngineName(name: string | undefined): name is EngineName {
  return name !== undefined && Object.hasOwn(engines, name);
}

async function list(): Promise<void> {
  for (const { name, title, variable, present } of Object.values(engines)) {
    const state = ownUrl(name) !== undefined ? 'own server' : (await present()) ? 'installed' : 'to be obtained';
    console.log(`${name.padEnd(18)}${title.padEnd(36)}${state.padEnd(16)}${variable ?? ''}`);
  }
}

async function obtain(wanted: readonly EngineName[]): Promise<void> {
  const failures = await Promise.all(wanted.map(obtainEngine));
  for (const failure of failures.filter((result) => result !== undefined)) {
    console.error(`${failure.name}: ${failure.unavailable}\n  ${failure.remedy}`);
    process.exitCode = 1;
  }
}

async function start(name: EngineName): Promise<void> {
  const engine = await startEngine(name);
  if ('unavailable' in engine) {
    console.error(`${name}: ${engine.unavailable}\n  ${engine.remedy}`);
    process.exitCode = 1;
    return;
  }
  console.log(engine.url);
  const alive = setInterval(() => {}, 60_000);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  clearInterval(alive);
  await engine.stop();
}
