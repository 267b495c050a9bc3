import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'tsup';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as source from '../../src/templates/index.ts';

let folder: string;
let text: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vivarium-templates-'));
  await build({
    entry: { templates: fileURLToPath(new URL('../../src/templates/index.ts', import.meta.url)) },
    outDir: folder,
    format: ['esm'],
    // A browser's bundle: everything inside, and nothing of Node to be had.
    platform: 'browser',
    noExternal: [/.*/],
    config: false,
    dts: false,
    silent: true,
    splitting: false,
    tsconfig: fileURLToPath(new URL('../../tsconfig.json', import.meta.url)),
  });
  text = await readFile(join(folder, 'templates.js'), 'utf8');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

it('bundles into one file that imports nothing', async () => {
  expect(await readdir(folder)).toEqual(['templates.js']);
  expect(text).not.toMatch(/^\s*import\b/m);
  expect(text).not.toMatch(/\bimport\s*\(|\brequire\s*\(/);
});

it('has neither zod nor anything of Node or the rest of core in it', () => {
  expect(text).not.toMatch(/['"]node:|\bzod\b|ZodError|\bBuffer\b|\bprocess\./);
  expect(text).not.toMatch(/createVivarium|environment_name_taken/);
  // What it does hold, so that an empty file would not pass.
  expect(text).toContain('missing_variable');
});

it('works by itself', async () => {
  const bundled = (await import(pathToFileURL(join(folder, 'templates.js')).href)) as typeof source;
  const resolved = bundled.unwrap(bundled.resolveVariables({ A: 'a b' }));
  expect(bundled.unwrap(bundled.render('/{{A}}/{{$randomInt}}', resolved, { context: 'url' })).text).toMatch(
    /^\/a%20b\/\d+$/,
  );
  expect(Object.keys(bundled).sort()).toEqual(Object.keys(source).sort());
});
