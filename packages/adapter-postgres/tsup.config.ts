import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm'],
  target: 'node22',
  dts: { resolve: [/^@vivarium\/sql/] },
  clean: true,
  treeshake: true,
  noExternal: ['@vivarium/sql'],
});
