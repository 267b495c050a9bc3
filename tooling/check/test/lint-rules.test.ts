import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { root } from '../run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vivarium-lint-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Lints a program that has a client, `ada`; answers with line and rule of each finding. */
function lint(program: string): string[] {
  const core = join(root, 'packages/core/src');
  writeFileSync(
    join(folder, 'program.ts'),
    `import { createVivarium, unwrap } from '${core}/index.ts';
     import { memoryStorage } from '${core}/storage/memory/index.ts';
     export { unwrap };
     export const ada = createVivarium({ storage: memoryStorage() }).as({ org: 'acme', type: 'user', id: 'ada' });
     ${program}`,
  );
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.base.json'), compilerOptions: { types: [] } }),
  );
  const command = [
    join(root, 'node_modules/oxlint/bin/oxlint'),
    '--config',
    join(root, '.oxlintrc.json'),
    '--format=unix',
    '.',
  ];
  const { stdout } = spawnSync(process.execPath, command, { cwd: folder, encoding: 'utf8' });
  const first = 5;
  return [...stdout.matchAll(/program\.ts:(\d+):.*\(([^)]+)\)\]$/gm)].map(
    ([, line, rule]) => `${Number(line) - first + 1} ${rule}`,
  );
}

test('a result that nobody looks at is found, at whatever distance from the call', () => {
  const found = lint(
    `ada.projects.get('id');
     ada.projects.get('id').map((project) => project.name);
     unwrap(ada.projects.get('id'));
     export const rename = async (id: string) => { ada.projects.update(id, { name: 'x' }); };`,
  );
  expect(found).toEqual([1, 2, 3, 4].map((line) => `${line} no-floating-promises`));
});

test('a result that is looked at, or said to be of no interest, is fine', () => {
  const found = lint(
    `export const project = await ada.projects.get('id');
     void ada.projects.get('id');
     await unwrap(ada.projects.get('id'));
     export const later = ada.projects.get('id').match((found) => found.name, (error) => error.code);`,
  );
  expect(found).toEqual([]);
});

const findings: Record<string, string> = {
  'no-default-export': 'export default 1;',
  'no-explicit-any': 'export const anything = (value: any) => value as unknown;',
  'consistent-type-imports': "import { Stats } from 'node:fs'; export let stats: Stats | undefined;",
  'no-unused-vars': 'const forgotten = 1;',
  eqeqeq: 'export const same = ada.projects == (undefined as unknown);',
};

test.for(Object.entries(findings))('%s', ([rule, program]) => {
  expect(lint(program)).toContain(`1 ${rule}`);
});
