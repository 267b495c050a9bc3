export { engines } from './catalogue.ts';
export { startCountingProxy } from './counting-proxy.ts';
export type { CountingProxy } from './counting-proxy.ts';
export { openEngineDesk } from './desk.ts';
export type { AvailableEngine, EngineDesk } from './desk.ts';
export { engineNames } from './engine.ts';
export type { Engine, EngineName, RunningEngine, Server, Unavailable } from './engine.ts';
export { obtainEngine, ownUrl, startEngine } from './start.ts';
