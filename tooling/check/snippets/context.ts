/** What the code in documents stands on without saying so: what a reader has by then, or has to bring. */
declare const storage: import('@vivarium/core/storage').Storage<unknown>;
declare const keys: import('@vivarium/core').KeyManagement;
declare const sourceControl: import('@vivarium/core').SourceControl;
declare const runtime: import('@vivarium/core').Runtime;
declare const vivarium: import('@vivarium/core').Vivarium<unknown>;
declare const ada: import('@vivarium/core').Client<unknown>;
declare const builds: import('@vivarium/core').Builds;
declare const previews: import('@vivarium/core').Previews;

declare const project: import('@vivarium/core').Project;
declare const staging: import('@vivarium/core').Environment;
declare const platform: import('@vivarium/core').Platform;
declare const build: import('@vivarium/core').Build;
declare const orgId: string;
declare const projectId: string;
declare const appId: string;
declare const projectEnvironmentId: string;
declare const generation: number;
declare const sha: string;
declare const url: string;
declare const token: string;
declare const password: string;
declare const line: string;
declare const reportUrl: string;
declare const reportKey: string;
declare const response: { readonly body: ReadableStream<Uint8Array> };
declare const log: { warn(what: unknown): void };

declare const pool: import('pg').Pool & import('mysql2/promise').Pool;
declare const createPool: (url: string) => typeof pool;
declare const closedPool: (url: string) => Promise<typeof pool>;
declare const myStorage: (options: { readonly pool: typeof pool }) => typeof storage;
declare const rawDatabase: (of: typeof pool) => import('@vivarium/testing').RawDatabase;
declare const truncateEverything: (of: typeof pool) => Promise<void>;

/** Of Hono; of Express; of Fastify. */
declare const app: {
  post(path: string, handler: (context: { readonly req: { readonly raw: Request } }) => Promise<Response>): void;
  post(path: string, listener: import('node:http').RequestListener): void;
  register(plugin: (scope: import('fastify').FastifyInstance) => Promise<void>): void;
};
declare const webhooks: (request: Request) => Promise<Response>;
declare const orgsOfInstallation: (installationId: number) => readonly string[];
declare const remember: (idempotencyKey: string) => Promise<boolean>;
declare const carryOut: (asked: import('@vivarium/integrations/pipeline-http').PipelineRequest) => Promise<void>;

declare const unwrap: typeof import('@vivarium/core').unwrap;
declare const createVivarium: typeof import('@vivarium/core').createVivarium;
declare const readFile: typeof import('node:fs/promises').readFile;
