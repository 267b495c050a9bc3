/** The engine configurations that the promises of Vivarium are checked on. */
export const engineNames = [
  'pglite',
  'postgres-18',
  'postgres-15',
  'mysql-9',
  'mariadb',
  'mariadb-snapshot',
  'dynamodb',
  'aws',
] as const;

/** One engine configuration. Tests carry it in front of their title: `[postgres-18] environments`. */
export type EngineName = (typeof engineNames)[number];

/** What is known of an engine configuration, and how it is had. */
export interface Engine {
  readonly name: EngineName;
  /** For people: product and version. */
  readonly title: string;
  /** The environment variable with the URL of an engine of one's own, or `undefined` for one that lives in the process. */
  readonly variable: string | undefined;
  /** Whether `start` would find everything on this machine already. */
  present(): Promise<boolean>;
  /** Installs what `start` needs, and does nothing where it is there. Throws {@link EngineUnavailable}. */
  obtain(): Promise<void>;
  /** Starts a fresh, empty server of an obtained engine. */
  start(): Promise<Server>;
}

/** A server that answers at `url` until it is stopped or the process that started it ends, however that happens. */
export interface Server {
  readonly url: string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/** A server, and which engine it is. */
export interface RunningEngine extends Server {
  readonly name: EngineName;
}

/** Why an engine cannot be had here, and what would help. */
export interface Unavailable {
  readonly name: EngineName;
  readonly unavailable: string;
  /** Whether everything it needs is there, so that it should have started: then it is a defect and not the machine. */
  readonly installed: boolean;
  readonly remedy: string;
}

/** Thrown inside an engine's `obtain` when this machine is not the kind that the engine can be had on. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';
}
