import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, expect, test } from 'vitest';
import { root } from '../run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vivarium-strippable-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Checks these programs, by name; answers with the exit code and what was said. */
function check(programs: Readonly<Record<string, string>>) {
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, name), text);
  const pattern = `{${[...Object.keys(programs), '-'].join()}}`;
  const command = ['--no-warnings', join(root, 'tooling/check/strippable.ts'), pattern, folder];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  return { status, said: stderr };
}

test('what Node cannot run is named', () => {
  const { status, said } = check({
    'fine.ts': 'export const one: number = 1;',
    'loop.ts': 'for (const of of [1]) console.log(of);',
    'enum.ts': 'export enum Colour { Red }',
  });
  expect(status).toBe(1);
  expect(said).toMatch(/^loop\.ts: /m);
  expect(said).toMatch(/^enum\.ts: .*enum/m);
  expect(said).not.toContain('fine.ts');
});

test('what Node can run is fine', () => {
  expect(check({ 'fine.ts': 'export const one = 1 as number satisfies number;' })).toEqual({ status: 0, said: '' });
});
