import type { BuildReferences, BuildRepository, CatalogKind } from '@vivarium/core/storage';

import { planItem, readPlan } from './build-items.ts';
import { exists, missing } from './expressions.ts';
import { catalogEntryKey, planKey, planSpan, projectKey } from './keys.ts';
import type { Key } from './keys.ts';
import { isThere, projectIsThere } from './project-items.ts';
import type { Table } from './table.ts';
import type { UsedEntries } from './used-entries.ts';
import { keptUnder, keyOf, write } from './write.ts';

type Plans = Pick<BuildRepository, 'plan' | 'addPlan' | 'startFacts'>;

export function dynamodbPlans(table: Table, used: UsedEntries): Plans {
  return {
    plan: (orgId, projectId, version, keyId) =>
      table.answer('read', async () => {
        const project = projectKey(orgId, projectId);
        const wanted = version === undefined ? [] : [planKey(orgId, projectId, version)];
        const [found, newest] = await Promise.all([
          table.get(project, ...wanted, ...keyOf(orgId, keyId)),
          version === undefined ? newestPlan(orgId, projectId) : null,
        ]);
        const exists = isThere(found.of(project));
        const plan = wanted[0] === undefined ? newest : found.of(wanted[0]);
        return { found: exists && plan !== null ? readPlan(plan) : null, exists, key: keptUnder(found, orgId, keyId) };
      }),

    addPlan: ({ plan, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const { projectId, version } = plan;
        const project = projectKey(orgId, projectId);
        const stale = () => 'stale' as const;
        return write<'not_found' | 'stale'>(table, change, {
          owners: [project],
          steps: [
            { check: project, when: projectIsThere, else: () => 'not_found' },
            ...(version === 1 ? [] : [{ check: planKey(orgId, projectId, version - 1), when: exists, else: stale }]),
            { put: planItem(orgId, plan), when: missing, else: stale },
          ],
        });
      }),

    startFacts: (orgId, references, keyId) =>
      table.answer('read', async () => {
        const { projectId } = references;
        const project = projectId === null ? null : projectKey(orgId, projectId);
        const { platform, osVersion, imageType } = entriesOf(orgId, references);
        const [found, plan] = await Promise.all([
          table.get(...(project === null ? [] : [project]), platform, osVersion, imageType, ...keyOf(orgId, keyId)),
          projectId === null ? null : newestPlan(orgId, projectId),
        ]);
        for (const entry of [platform, osVersion, imageType]) used.note(entry, found.of(entry));
        const there = project === null || isThere(found.of(project));
        return {
          project: there,
          platform: found.of(platform) !== null,
          osVersion: found.of(osVersion) !== null,
          imageType: found.of(imageType) !== null,
          plan: there && plan !== null ? readPlan(plan) : null,
          key: keptUnder(found, orgId, keyId),
        };
      }),
  };

  async function newestPlan(orgId: string, projectId: string) {
    const { pk, from, to } = planSpan(orgId, projectId);
    const [newest] = await table.first({ pk, between: [from, to], backward: true }, 1);
    return newest ?? null;
  }
}

/** The entries of the catalog that a build refers to. */
export function entriesOf(orgId: string, { platformId, osVersionId, imageTypeId }: BuildReferences) {
  const entry = (kind: CatalogKind, id: string): Key => catalogEntryKey(orgId, kind, id);
  return {
    platform: entry('platform', platformId),
    osVersion: entry('os_version', osVersionId),
    imageType: entry('image_type', imageTypeId),
  };
}
