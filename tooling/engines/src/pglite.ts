import type { Engine } from './engine.ts';

/** PostgreSQL compiled to WebAssembly: it lives in the process that uses it, and its address says "in memory" to whoever opens one. */
export const pglite: Engine = {
  name: 'pglite',
  title: 'PGlite',
  variable: undefined,
  present: async () => true,
  obtain: async () => {},
  start: async () => ({ url: 'memory://', stop: async () => {} }),
};
