import { StorageFailure } from '@vivarium/core/storage';
import type { BuildRepository, StoredBuild, Written } from '@vivarium/core/storage';

import { integer } from './attributes.ts';
import { beginImport, commitImport, dropImport, fitsIntoOne } from './build-imports.ts';
import {
  attemptItem,
  buildItem,
  buildNumberItem,
  failureItems,
  listedBuildItem,
  projectBuildItem,
  runningBuildItem,
  summaryOf,
} from './build-items.ts';
import { entriesOf } from './build-plans.ts';
import { eraseLeftovers } from './erasure.ts';
import { exists, missing } from './expressions.ts';
import { projectKey } from './keys.ts';
import { projectIsThere } from './project-items.ts';
import type { Table } from './table.ts';
import type { UsedEntries } from './used-entries.ts';
import { write } from './write.ts';
import type { Step } from './write.ts';

export function dynamodbStarts(table: Table, secrets: Table, used: UsedEntries): Pick<BuildRepository, 'add'> {
  return {
    add: ({ build, states, failures, change }) =>
      table.answer('write', async () => {
        const { orgId, at } = change;
        const ended = states.flatMap(({ status, endTime, ...attempt }) =>
          status === 'started' ? [] : [summaryOf({ ...attempt, status, endTime: endTime! })],
        );
        const history = {
          attempts: states.map((attempt) => attemptItem(orgId, attempt)),
          failures: failures.map((failure) => failureItems(orgId, build, failure)),
        };
        const { entries, steps } = startOf(orgId, build, ended);
        const owners = [...(build.projectId === null ? [] : [projectKey(orgId, build.projectId)]), ...entries];
        const rows = [...history.attempts, ...history.failures.flatMap((items) => Object.values(items))];
        if (fitsIntoOne(steps, rows)) {
          const whole = [...steps, ...rows.map((put) => ({ put }))];
          return noted(entries, await write<'number_taken' | 'gone'>(table, change, { owners, steps: whole }));
        }

        await beginImport(table, orgId, build, history, at);
        const commit = [...steps, commitImport(orgId, build)];
        const written = await write<'number_taken' | 'gone' | 'swept'>(table, change, { owners, steps: commit });
        if (written.done) await eraseLeftovers(table, secrets, orgId, at).catch(() => undefined);
        else await dropImport(table, orgId, build).catch(() => undefined);
        if (!written.done && written.refused === 'swept') return takenForALeftover(build);
        return noted(entries, written as Written<'number_taken' | 'gone'>);
      }),
  };

  /** What a build consists of besides its history, and the entries of the catalog that are not known to be in use yet. */
  function startOf(orgId: string, build: StoredBuild, ended: readonly string[]) {
    const { projectId } = build;
    const entries = Object.values(entriesOf(orgId, build)).filter((entry) => !used.has(entry));
    const gone = () => 'gone' as const;
    const steps: Step<'number_taken' | 'gone'>[] = [
      ...(projectId === null ? [] : [{ check: projectKey(orgId, projectId), when: projectIsThere, else: gone }]),
      ...entries.map((update) => ({ update, changes: { set: { used: integer(1) } }, when: exists, else: gone })),
      { put: buildNumberItem(orgId, build), when: missing, else: () => 'number_taken' },
      { put: buildItem(orgId, build, ended), when: missing, else: () => idTaken(build.id) },
      { put: listedBuildItem(orgId, build, ended) },
      ...(projectId === null ? [] : [{ put: projectBuildItem(orgId, projectId, build) }]),
      ...(build.status === 'running' ? [{ put: runningBuildItem(orgId, build) }] : []),
    ];
    return { entries, steps };
  }

  function noted<Refusal extends string>(
    entries: ReturnType<typeof startOf>['entries'],
    written: Written<Refusal>,
  ): Written<Refusal> {
    if (written.done) for (const entry of entries) used.add(entry);
    return written;
  }
}

function takenForALeftover({ id }: StoredBuild): never {
  throw new StorageFailure(`the import of build ${id} took so long that it was taken for one whose process had died`, {
    retryable: true,
    outcome: 'none',
  });
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is a build ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
