import type { Runtime, RuntimeRequest } from '@vivarium/core';

type Removal = Parameters<Runtime['remove']>[0];

/** The body of a request to run a preview. The version grows when a receiver could misunderstand the request. */
export interface RuntimeCreateRequest {
  readonly version: 1;
  readonly type: 'create';
  /** The same for every try of one run: whoever has a runtime of this key answers with it. */
  readonly key: string;
  readonly org: string;
  readonly preview: {
    /** `projectEnvironmentId` of the reports. */
    readonly id: string;
    readonly appId: string;
    readonly environment: string;
    readonly type: string;
    /** `generation` of the reports. */
    readonly generation: number;
    readonly pullRequest: number | null;
    /** Whether it is code of somebody else. */
    readonly fork: boolean;
  };
  readonly source: {
    readonly provider: string;
    readonly repo: string;
    /** Where the commit is: another repository than `repo` for a pull request from a fork. */
    readonly headRepo: string;
    readonly branch: string;
    readonly sha: string;
    readonly entrypoint: string | null;
    /** Reads the source. To be kept as a secret. */
    readonly token: string;
  };
  /** The app's secrets. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Signs the reports of this run. To be kept as a secret of the runtime, and not to be shown to what runs in it. */
  readonly reportKey: string;
  /** Where reports go; `null` where the host has not said. */
  readonly reportUrl: string | null;
}

/** The body of a request to remove what was made. */
export interface RuntimeRemoveRequest {
  readonly version: 1;
  readonly type: 'remove';
  readonly org: string;
  /** Whatever was created for one of these keys goes. */
  readonly keys: readonly string[];
  readonly runtimeId: string | null;
}

/** The body of a request: `type` says which. */
export type RuntimeServiceRequest = RuntimeCreateRequest | RuntimeRemoveRequest;

/** Names each field, so that nothing travels that was added to an entity for other purposes. */
export function createRequest(request: RuntimeRequest, reportUrl: string | null): RuntimeCreateRequest {
  const { key, orgId, preview, repo, entrypoint, type, sha, token, secrets, reportKey } = request;
  const { id, appId, environment, generation, pullRequest, fork, headRepo, branch } = preview;
  return {
    version: 1,
    type: 'create',
    key,
    org: orgId,
    preview: { id, appId, environment, type, generation, pullRequest, fork },
    source: {
      provider: repo.provider,
      repo: repo.fullName,
      headRepo,
      branch,
      sha,
      entrypoint,
      token: token.reveal(),
    },
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, secret]) => [name, secret.reveal()])),
    reportKey: reportKey.reveal(),
    reportUrl,
  };
}

export function removeRequest({ orgId, keys, runtimeId }: Removal): RuntimeRemoveRequest {
  return { version: 1, type: 'remove', org: orgId, keys: [...keys], runtimeId };
}

/** The run's key; that of the newest run with `:remove` behind it for a removal. */
export function idempotencyKeyOf(request: RuntimeServiceRequest): string {
  return request.type === 'create' ? request.key : `${request.keys.at(-1) ?? request.runtimeId ?? ''}:remove`;
}
