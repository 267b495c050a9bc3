import * as z from 'zod';

/** The limits that a host may set in `createVivarium({ limits })`, with the defaults of seed 004. */
export interface Limits {
  /** Environments that a project may have: 50. */
  readonly environmentsPerProject: number;
  /** Variables that an environment may have: 100. */
  readonly variablesPerEnvironment: number;
  /** Bytes that an environment's variables may take, as canonical JSON in UTF-8: 51,200. At most 300,000, which every storage can hold. */
  readonly variableBytesPerEnvironment: number;
}

/** What holds where `createVivarium` is given no limit: 50 environments, 100 variables, 51,200 bytes (seed 004). */
export const defaultLimits: Limits = {
  environmentsPerProject: 50,
  variablesPerEnvironment: 100,
  variableBytesPerEnvironment: 51_200,
};

/** Levels of projects below one another, the root included. Fixed: storages walk a project's ancestors in one request. */
export const maximumProjectDepth = 16;

/** Environments that `projects.create` may make in its one write: as many as fit into one DynamoDB transaction. */
export const maximumInitialEnvironments = 30;

export const limitsInput = z.strictObject({
  environmentsPerProject: z.int().min(1).max(10_000).optional(),
  variablesPerEnvironment: z.int().min(0).max(10_000).optional(),
  variableBytesPerEnvironment: z.int().min(2).max(300_000).optional(),
});
