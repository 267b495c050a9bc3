import type { BuildCommandMethod } from './every-build-call.ts';
import type { Expected } from './journal.ts';
import type { World } from './world.ts';

type Kind = 'platform' | 'os_version' | 'image_type';
const kept = { platform: 'platform', os_version: 'osVersion', image_type: 'imageType' } as const;

const onEntry = (kind: Kind, what: 'created' | 'updated' | 'deleted', name: string): Expected => ({
  action: `${kind}.${what}`,
  subject: kind,
  sequence: what === 'created' ? 1 : 3,
  id: ({ spare }) => (what === 'created' ? null : spare[kept[kind]].id),
  data: () => ({ name }),
});
const onBuild = (action: string, which: 'running' | 'failed', data: (world: World) => object): Expected => ({
  action: `build.${action}`,
  subject: 'build',
  sequence: 3,
  id: (world) => world[which].id,
  data: (world) => ({ buildNumber: world[which].buildNumber, ...data(world) }),
});
const moved = (action: string, which: 'running' | 'failed', to: object) =>
  onBuild(action, which, () => ({ state: 5, retryCount: 0, ...to }));

/** What each command of builds writes into the journal. */
export const buildEntries: Readonly<Record<BuildCommandMethod, Expected>> = {
  'builds.catalog.platforms.create': onEntry('platform', 'created', 'new'),
  'builds.catalog.platforms.update': onEntry('platform', 'updated', 'renamed'),
  'builds.catalog.platforms.delete': onEntry('platform', 'deleted', 'spare'),
  'builds.catalog.osVersions.create': onEntry('os_version', 'created', 'new'),
  'builds.catalog.osVersions.update': onEntry('os_version', 'updated', 'renamed'),
  'builds.catalog.osVersions.delete': onEntry('os_version', 'deleted', 'spare'),
  'builds.catalog.imageTypes.create': onEntry('image_type', 'created', 'new'),
  'builds.catalog.imageTypes.update': onEntry('image_type', 'updated', 'renamed'),
  'builds.catalog.imageTypes.delete': onEntry('image_type', 'deleted', 'spare'),
  'builds.milestonePlans.define': {
    action: 'milestone_plan.defined',
    subject: 'milestone_plan',
    sequence: 1,
    id: () => null,
    data: ({ project }) => ({ projectId: project.id, version: 2 }),
  },
  'builds.start': {
    action: 'build.started',
    subject: 'build',
    sequence: 1,
    id: () => null,
    data: ({ project }) => ({ buildNumber: 'new-1', projectId: project.id, status: 'pending', state: 0 }),
  },
  'builds.import': {
    action: 'build.imported',
    subject: 'build',
    sequence: 1,
    id: () => null,
    data: ({ project }) => ({ buildNumber: 'old-1', projectId: project.id, status: 'failed', state: 5 }),
  },
  'builds.cancel': moved('canceled', 'running', { status: 'canceled' }),
  'builds.resume': moved('resumed', 'failed', { status: 'running', retryCount: 1 }),
  'builds.states.enter': moved('state_entered', 'running', { status: 'running', state: 10 }),
  'builds.states.complete': moved('state_completed', 'running', { status: 'running' }),
  'builds.states.fail': moved('failed', 'running', {
    status: 'failed',
    failureType: 'provisioner',
    component: 'ansible',
  }),
  'builds.resolveFailure': {
    action: 'build_failure.resolved',
    subject: 'build_failure',
    sequence: 1,
    id: ({ failure }) => failure.id,
    data: ({ failed }) => ({ buildId: failed.id, state: 5, failureType: 'provisioner' }),
  },
  'builds.attachPackerManifest': onBuild('manifest_attached', 'running', () => ({ artifacts: 1 })),
};
