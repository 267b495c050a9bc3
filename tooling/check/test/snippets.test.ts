import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, expect, test } from 'vitest';
import { root } from '../run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vivarium-snippets-'));
afterAll(() => rmSync(folder, { recursive: true }));

const code = (...lines: string[]) => ['# Title', '', '```ts', ...lines, '```', ''].join('\n');

test('what does not compile in a document is named by its line, and nothing else is', { timeout: 60_000 }, () => {
  const documents = {
    'README.md': code(`import { unwrap } from '@vivarium/core';`, `unwrap(await ada.projects.create({ name: 5 }));`),
    'docs/fine.md': code('const project = await unwrap(ada.projects.create({ name: "P" }));', 'project.id.length;'),
    'docs/unknown.md': code('nobody.knows();') + code('await ada.projects.get(projectId);', 'import "./nowhere.ts";'),
    'docs/tested.md': code('// elsewhere.ts', 'import "./nowhere.ts";'),
  };
  mkdirSync(join(folder, 'docs'));
  for (const [path, text] of Object.entries(documents)) writeFileSync(join(folder, path), text);
  const command = ['--no-warnings', join(root, 'tooling/check/snippets.ts'), folder];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  expect(status).toBe(1);
  const places = [...stderr.matchAll(/^(\S+\.md:\d+) /gm)].map(([, place]) => place);
  expect(new Set(places)).toEqual(new Set(['README.md:5', 'docs/unknown.md:4', 'docs/unknown.md:10']));
});
