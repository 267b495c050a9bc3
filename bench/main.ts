/** Runs the benchmarks one after the other, each in a process of its own. `npm run bench -- templates` runs the ones of that name. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const benchmarks = ['templates', 'storage', 'secrets', 'builds'];
const wanted = process.argv.slice(2);

for (const name of benchmarks) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n━━ ${name}`);
  const program = fileURLToPath(new URL(`./${name}/main.ts`, import.meta.url));
  const { status } = spawnSync(process.execPath, [program], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
