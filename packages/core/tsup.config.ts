import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { defineConfig } from 'tsup';
import type { Options } from 'tsup';

/**
 * What is bundled of the two parsers is pure: yaml in its build for browsers, which is ESM and never looks at `process.env`, and dotenv
 * without the modules by which it loads files, since only its parser is called. As CommonJS, their `require` would fail in our ESM.
 */
const pureParsers: NonNullable<Options['esbuildPlugins']>[number] = {
  name: 'pure-parsers',
  setup(build) {
    const yaml = dirname(createRequire(import.meta.url).resolve('yaml/package.json'));
    build.onResolve({ filter: /^yaml$/ }, () => ({ path: join(yaml, 'browser/index.js'), sideEffects: false }));
    build.onResolve({ filter: /^(?:fs|os|path|url)$/ }, ({ path, importer }) =>
      /[\\/]dotenv[\\/]/.test(importer) ? { path, namespace: 'absent' } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({ contents: 'module.exports = {};' }));
  },
};

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    memory: 'src/storage/memory/index.ts',
    templates: 'src/templates/index.ts',
    variables: 'src/environments/formats/index.ts',
    storage: 'src/storage/index.ts',
  },
  format: ['esm'],
  target: 'node22',
  dts: true,
  clean: true,
  treeshake: true,
  // The parsers of two file formats are bundled into ./variables alone, so that core keeps its three dependencies.
  noExternal: ['dotenv', 'yaml'],
  esbuildPlugins: [pureParsers],
});
