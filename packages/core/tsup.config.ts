import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { index: 'src/index.ts', memory: 'src/storage/memory/index.ts', templates: 'src/templates/index.ts', variables: 'src/environments/formats/index.ts', storage: 'src/storage/index.ts' },
  format: ['esm'],
  target: 'node22',
  dts: true,
  clean: true,
  treeshake: true,
  // The parsers of two file formats are bundled into ./variables alone, so that core keeps its three dependencies.
  noExternal: ['dotenv', 'yaml'],
});
