import { openDeploymentStatuses, StorageFailure } from '@vivarium/core/storage';
import type { PreviewRepository, PreviewWrite, Written } from '@vivarium/core/storage';

import { integerOf, optionalText, present } from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { deploymentIdItem, deploymentItem, openDeploymentItem } from './deployment-items.ts';
import { onBranch } from './environment-branch.ts';
import { all, exists, has, missing, without } from './expressions.ts';
import {
  openDeploymentKey,
  placeInProject,
  placeInRepo,
  previewKey,
  projectEnvironmentKey,
  upPreviewKey,
} from './keys.ts';
import { countRuntime, ownersOf } from './live-runtimes.ts';
import {
  isUp,
  listedPreviewItem,
  mayHaveRuntime,
  messageItem,
  previewItem,
  runtimeAttribute,
  stepItem,
  upPreviewItem,
  writtenAttributes,
} from './preview-items.ts';
import { environmentItem, isAt, listedItem, movingAttributes, placesOf, toldBy } from './project-environment-items.ts';
import { idTaken } from './project-environments.ts';
import { settled } from './settle.ts';
import type { Table } from './table.ts';
import { write } from './write.ts';
import type { Step } from './write.ts';

type PreviewWrites = Pick<PreviewRepository, 'create' | 'write' | 'countTry' | 'keepStep'>;

export function dynamodbPreviewWrites(table: Table): PreviewWrites {
  return {
    create: (command) =>
      table.answer('write', async () => {
        const { preview, environment, change } = command;
        const { orgId } = change;
        const owners = ownersOf(orgId, preview);
        const told = toldOf(command);
        const stale = () => 'stale' as const;
        const written = await write<'not_found' | 'stale'>(table, change, {
          owners: owners.map(([key]) => key),
          steps: [
            ...(preview.hasRuntime
              ? countRuntime(orgId, preview, 1)
              : owners.map(([check, when]) => ({ check, when, else: () => 'not_found' as const }))),
            {
              put: { ...environmentItem(orgId, environment), ...present(told.own) },
              when: missing,
              else: (there) => idTaken(environment, there!),
            },
            ...placesOf(orgId, environment).map((place) => ({
              put: listedItem(place, environment, told.listed['latest']?.S ?? null),
              when: missing,
              else: stale,
            })),
            { put: previewItem(orgId, command), when: missing, else: stale },
            ...besides(command),
          ],
        });
        return gone(written);
      }),

    write: (command) =>
      table.answer('write', async () => {
        const { preview, environment, previousBranch, expectedVersion, change } = command;
        const { orgId } = change;
        const key = projectEnvironmentKey(orgId, environment.id);
        const own = previewKey(orgId, preview.id);
        const when = isAt(expectedVersion);
        const moves = movingAttributes(environment);
        const told = toldOf(command);
        const stale = () => 'stale' as const;
        const stays = [placeInProject(orgId, environment), placeInRepo(orgId, environment)];
        const branch = await onBranch(table, orgId, {
          environment,
          previousBranch,
          expectedVersion,
          told: told.listed,
        });

        // Whether there was a runtime before is not said, but nearly always to be guessed; if it was not so, the refusal says how it is.
        let before = hadRuntime(command);
        return settled('the preview', async () => {
          const counted =
            preview.hasRuntime === before ? [] : countRuntime(orgId, preview, preview.hasRuntime ? 1 : -1);
          const written = await write<'not_found' | 'stale' | 'runtime_moved'>(table, change, {
            owners: [key, ...(counted.length === 0 ? [] : ownersOf(orgId, preview).map(([owner]) => owner))],
            steps: [
              {
                update: own,
                changes: { set: writtenAttributes(command) },
                when: all(when, before ? has(runtimeAttribute) : without(runtimeAttribute)),
                else(there) {
                  if (there === null) return 'not_found';
                  if (integerOf(there, 'version') !== expectedVersion) return 'stale';
                  before = mayHaveRuntime(there);
                  return 'runtime_moved';
                },
              },
              { update: key, changes: { set: { ...moves, ...told.own } }, when, else: changed },
              ...stays.map((update) => ({ update, changes: { set: { ...moves, ...told.listed } }, when, else: stale })),
              ...branch,
              ...besides(command),
              ...counted,
            ],
          });
          if (!written.done && written.refused === 'runtime_moved') return null;
          return { value: written as Written<'not_found' | 'stale'> };
        });
      }),

    countTry: (orgId, id, version) =>
      table.answer('write', () => table.increase(previewKey(orgId, id), 'tries', isAt(version))),

    keepStep: (orgId, step) =>
      table.answer('write', async () => {
        const preview = previewKey(orgId, step.projectEnvironmentId);
        const changes = { set: { comment: optionalText(step.result) } };
        await table.transact(
          [
            step.step === 'comment' ? { update: preview, changes, when: exists } : { check: preview, when: exists },
            { put: stepItem(orgId, step) },
          ],
          { owners: [preview] },
        );
      }),
  };
}

/** What goes along with every write of a preview: its places in lists, its message, and its deployments. */
function besides({ preview, deployments, message, change }: PreviewWrite): readonly Step<'stale'>[] {
  const { orgId } = change;
  return [
    { put: listedPreviewItem(orgId, preview) },
    isUp(preview) ? { put: upPreviewItem(orgId, preview) } : { remove: upPreviewKey(orgId, preview.id) },
    ...(message === null ? [] : [{ put: messageItem(orgId, preview.appId, message) }]),
    ...deployments.flatMap(({ deployment, adds }): readonly Step<'stale'>[] => {
      const open = openDeploymentStatuses.has(deployment.status);
      return [
        { put: deploymentItem(orgId, deployment), when: adds ? missing : exists, else: () => 'stale' },
        ...(adds
          ? [{ put: deploymentIdItem(orgId, deployment), when: missing, else: () => deploymentIdTaken(deployment.id) }]
          : []),
        ...(adds && open ? [{ put: openDeploymentItem(orgId, deployment) }] : []),
        ...(open ? [] : [{ remove: openDeploymentKey(orgId, deployment.id) }]),
      ];
    }),
  ];
}

/** What the deployments that change say in the records of the environment. */
function toldOf({ environment, deployments }: PreviewWrite): { readonly own: Attributes; readonly listed: Attributes } {
  const told = deployments.map(({ deployment }) => toldBy(environment, deployment));
  return {
    own: Object.assign(
      {},
      environment.activeDeployment === null ? { active: null } : {},
      ...told.map(({ own }) => own),
    ),
    listed: Object.assign({}, ...told.map(({ listed }) => listed)),
  };
}

/** Whether there was a runtime: a worker that prepares a run says that there is one from now on, one that has removed it that there is none. */
function hadRuntime({ preview: { status, hasRuntime, note }, deployments }: PreviewWrite): boolean {
  if (hasRuntime) return status !== 'initializing' || deployments.length > 0;
  return status === 'stopped' || (status === 'deleted' && note !== null);
}

/** Without its app, its project and its repository there is no place for a preview, whatever else is wrong. */
export function gone<Refusal extends string>(
  written: Written<Refusal | 'not_found'>,
): Written<Exclude<Refusal, 'not_found'> | 'gone'> {
  const isGone = !written.done && written.refused === 'not_found';
  return isGone ? { done: false, refused: 'gone' } : (written as Written<Exclude<Refusal, 'not_found'>>);
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}

function deploymentIdTaken(id: string): never {
  throw new StorageFailure(`there already is a deployment ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
