import { compareBytes } from '../../kernel/text.ts';
import type { Deployment } from '../../deployments/model.ts';
import { isDue } from '../../previews/model.ts';
import type { StoredPreview } from '../../previews/model.ts';
import type { PreviewRepository, PreviewWrite, StoredAppSecret } from '../../previews/repository.ts';
import { row } from './tables.ts';
import type { OrgTables, Session } from './tables.ts';
import { answer, keptUnder, write } from './writing.ts';

export function memoryPreviews(session: Session): PreviewRepository {
  const { tables } = session;
  return {
    askFacts: (orgId, { appId, environment: name }, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const app = org.apps.get(appId) ?? null;
        const environment =
          [...org.projectEnvironments.values()].find(
            (one) => one.projectId === app?.projectId && one.repoId === app.repoId && one.environment === name,
          ) ?? null;
        const preview = environment === null ? null : (org.previews.get(environment.id) ?? null);
        return {
          app,
          repo: app === null ? null : (org.repos.get(app.repoId) ?? null),
          environment,
          preview,
          run: deploymentOf(org, preview?.run),
          active: deploymentOf(org, environment?.activeDeployment),
          key: keptUnder(org, keyId),
        };
      }),

    facts: (orgId, id, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const key = keptUnder(org, keyId);
        const preview = org.previews.get(id);
        if (preview === undefined) return { found: null, key };
        const environment = org.projectEnvironments.get(id)!;
        const found = {
          preview,
          environment,
          app: org.apps.get(preview.appId)!,
          repo: org.repos.get(preview.repoId)!,
          run: deploymentOf(org, preview.run),
          active: deploymentOf(org, environment.activeDeployment),
          steps: [...org.previewSteps.values()].filter(
            ({ projectEnvironmentId, generation }) => projectEnvironmentId === id && generation === preview.generation,
          ),
        };
        return { found, key };
      }),

    create: (command) =>
      write(
        session,
        command.change,
        (org) => {
          const { appId, projectId, repoId, environment } = command.preview;
          if (!org.apps.has(appId)) return 'gone';
          const taken = [...org.projectEnvironments.values()].some(
            (one) => one.projectId === projectId && one.repoId === repoId && one.environment === environment,
          );
          return taken ? 'stale' : null;
        },
        (org) => put(org, command, command.preview.commentId),
      ),

    write: (command) =>
      write(
        session,
        command.change,
        (org) => {
          const there = org.previews.get(command.preview.id);
          if (there === undefined) return 'not_found';
          return there.version === command.expectedVersion ? null : 'stale';
        },
        (org) => put(org, command, org.previews.get(command.preview.id)!.commentId),
      ),

    countTry: (orgId, id, version) =>
      answer(session, () => {
        const { previews } = tables.of(orgId);
        const preview = previews.get(id);
        if (preview?.version !== version) return null;
        const tries = preview.tries + 1;
        previews.set(id, row({ ...preview, tries }));
        return tries;
      }),

    keepStep: (orgId, step) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const { projectEnvironmentId: id, generation } = step;
        const preview = org.previews.get(id);
        if (preview === undefined) return;
        org.previewSteps.set(`${id} ${generation} ${step.step}`, row(step));
        if (step.step === 'comment') org.previews.set(id, row({ ...preview, commentId: step.result }));
      }),

    list: (orgId, { appId, status }, { limit, after }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        if (!org.apps.has(appId)) return null;
        const order = (a: { createdAt: Date; id: string }, b: { createdAt: Date; id: string }) =>
          b.createdAt.getTime() - a.createdAt.getTime() || compareBytes(b.id, a.id);
        const behind = [...org.previews.values()]
          .filter((preview) => preview.appId === appId && (status === undefined || preview.status === status))
          .filter((preview) => after === null || order(preview, after) > 0)
          .sort(order);
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    knowsDelivery: (orgId, deliveryId, now) =>
      answer(session, () => {
        const expiresAt = tables.of(orgId).webhookDeliveries.get(deliveryId);
        return expiresAt !== undefined && expiresAt > now;
      }),

    keepDelivery: (orgId, deliveryId, expiresAt) =>
      answer(session, () => {
        tables.of(orgId).webhookDeliveries.set(deliveryId, expiresAt);
      }),

    pruneDeliveries: (orgId, { now, limit }) =>
      answer(session, () => {
        const { webhookDeliveries } = tables.of(orgId);
        const expired = [...webhookDeliveries].filter(([, expiresAt]) => expiresAt <= now).slice(0, limit);
        for (const [id] of expired) webhookDeliveries.delete(id);
        return expired.length;
      }),

    unsent: (orgId, request) =>
      answer(session, () =>
        batch([...tables.of(orgId).previewCommands.values()], (message) => message.projectEnvironmentId, request),
      ),

    sent: (orgId, { projectEnvironmentId: id, sequence }) =>
      answer(session, () => {
        const { previewCommands } = tables.of(orgId);
        if (previewCommands.get(id)?.sequence === sequence) previewCommands.delete(id);
      }),

    due: (orgId, { now, askedBy, ...request }) =>
      answer(session, () =>
        batch(
          [...tables.of(orgId).previews.values()].filter((preview) => isDue(preview, now, askedBy)),
          (preview) => preview.id,
          request,
        ),
      ),

    secrets: (orgId, owner) =>
      answer(session, () =>
        [...tables.of(orgId).appSecrets.values()]
          .filter(({ appId, type }) => appId === owner.appId && type === owner.type)
          .sort((a, b) => compareBytes(a.name, b.name)),
      ),

    secretFacts: (orgId, secret, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const found = org.appSecrets.get(secretKey(secret)) ?? null;
        return { app: org.apps.has(secret.appId), found, key: keptUnder(org, keyId) };
      }),

    writeSecret: ({ secret, change }) =>
      write(
        session,
        change,
        (org) => {
          if (!org.apps.has(secret.appId)) return 'gone';
          const there = org.appSecrets.get(secretKey(secret))?.sealVersion ?? 0;
          return there === secret.sealVersion - 1 ? null : 'stale';
        },
        (org) => org.appSecrets.set(secretKey(secret), row(secret)),
      ),

    removeSecret: ({ secret, change }) =>
      write(
        session,
        change,
        (org) => (org.appSecrets.get(secretKey(secret))?.sealVersion === secret.sealVersion ? null : 'stale'),
        (org) => org.appSecrets.delete(secretKey(secret)),
      ),
  };
}

/** Part of deleting its project environment. */
export function forgetPreview(org: OrgTables, id: string): void {
  org.previews.delete(id);
  org.previewCommands.delete(id);
  for (const [key, { projectEnvironmentId }] of org.previewSteps) {
    if (projectEnvironmentId === id) org.previewSteps.delete(key);
  }
}

/** Whether a runtime would be orphaned. */
export function hasLivePreviews(org: OrgTables, below: (preview: StoredPreview) => boolean): boolean {
  return [...org.previews.values()].some((preview) => preview.hasRuntime && below(preview));
}

function put(
  org: OrgTables,
  { preview, environment, deployments, message }: PreviewWrite,
  commentId: string | null,
): void {
  org.previews.set(preview.id, row({ ...preview, commentId }));
  org.projectEnvironments.set(environment.id, row(environment));
  for (const { deployment } of deployments) org.deployments.set(deployment.id, row(deployment));
  if (message !== null) org.previewCommands.set(preview.id, row(message));
}

function deploymentOf(org: OrgTables, id: string | null | undefined): Deployment | null {
  return id == null ? null : (org.deployments.get(id) ?? null);
}

function secretKey({ appId, type, name }: Pick<StoredAppSecret, 'appId' | 'type' | 'name'>): string {
  return `${appId} ${type} ${name}`;
}

/** So many behind a place, in the order of ids. */
function batch<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  { limit, after }: { readonly limit: number; readonly after: string | null },
): readonly T[] {
  return items
    .filter((item) => after === null || compareBytes(idOf(item), after) > 0)
    .sort((a, b) => compareBytes(idOf(a), idOf(b)))
    .slice(0, limit);
}
