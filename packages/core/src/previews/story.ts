/** What a change of a preview means for its deployments: each run is one, written by the manager. */
import type { Deployment, StoredProjectEnvironment } from '../deployments/model.ts';
import { newProjectEnvironment, report, start } from '../deployments/rules.ts';
import type { Actor } from '../kernel/actor.ts';
import type { StoredPreview } from './model.ts';
import type { PreviewChange } from './rules.ts';

/** A run has a deadline of its own; that of its deployment must not come before it. */
const neverMs = 604_800_000;

/** What is written beside the preview. */
export interface Story {
  readonly preview: StoredPreview;
  readonly environment: StoredProjectEnvironment;
  readonly deployments: readonly { readonly deployment: Deployment; readonly adds: boolean }[];
}

/** The project environment of a preview that is being made. */
export function environmentOf(preview: StoredPreview, at: Date): StoredProjectEnvironment {
  const { id, projectId, repoId, environment, type, branch, pullRequest, appId } = preview;
  const made = newProjectEnvironment({ projectId, repoId, environment, type, branch, pullRequest }, { id, at });
  return { ...made, managedBy: appId };
}

/** Tells the story: what becomes of the run before, and the run that begins. */
export function tell(
  { preview, run: events, begun }: PreviewChange,
  before: {
    readonly environment: StoredProjectEnvironment;
    readonly run: Deployment | null;
    readonly active: Deployment | null;
  },
  by: Actor,
  { id, at }: { readonly id: string; readonly at: Date },
): Story {
  let { environment } = before;
  const deployments = new Map<string, { readonly deployment: Deployment; readonly adds: boolean }>();
  let run = before.run;
  for (const event of events) {
    if (run === null) break;
    const said = { url: preview.url, description: event === 'failed' ? preview.reason : null };
    const moved = report(environment, run, before.active, event, said, at);
    if (moved.isErr() || moved.value === null) continue;
    ({ environment, deployment: run } = moved.value);
    deployments.set(run.id, { deployment: run, adds: false });
    const { replaced } = moved.value;
    if (replaced !== null && replaced.id !== run.id)
      deployments.set(replaced.id, { deployment: replaced, adds: false });
  }
  if (!begun)
    return { preview, environment: touched(environment, preview, at), deployments: [...deployments.values()] };

  const wanted = { gitRef: preview.branch, sha: preview.sha, configuration: null, timeoutMs: neverMs };
  const started = start(environment, wanted, by, { id, at });
  deployments.set(id, { deployment: started.deployment, adds: true });
  return {
    preview: { ...preview, run: id },
    environment: touched(started.environment, preview, at),
    deployments: [...deployments.values()],
  };
}

/** Every change of a preview is one of its environment: one version for both. */
function touched(environment: StoredProjectEnvironment, preview: StoredPreview, at: Date): StoredProjectEnvironment {
  const { branch, pullRequest, version } = preview;
  return { ...environment, branch, pullRequest, version, updatedAt: at };
}
