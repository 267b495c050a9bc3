import type { Method } from '@vivarium/core';

import {
  descriptions,
  id,
  ids,
  keyed,
  made,
  missing,
  names,
  pages,
  versioned,
  within,
  wrongIds,
} from './malformed-arguments.ts';
import type { MalformedCall } from './malformed-calls.ts';

const short = [1, '', 'x'.repeat(256), 'a\0b', '\ud800'];
const providers = [1, '', 'GitHub', 'git hub', 'x'.repeat(33), 'github\n', 'gîthub'];
const fullNames = [
  1,
  '',
  'shop',
  '/shop',
  'acme/',
  'acme//shop',
  'acme/shop\n',
  'acme/sh op',
  'acme/söp',
  'acme\\shop',
  `acme/${'x'.repeat(101)}`,
  Array.from({ length: 10 }, () => 'a').join('/'),
];
const environmentNames = [1, '', 'Production', 'pr 1', 'prod\n', 'pröd', 'a\0b', 'pr#1', 'x'.repeat(101)];
const types = [null, 1, '', 'Production', 'constructor', ['preview']];
const branches = short;
const pullRequests = [0, -1, 1.5, '42', 2 ** 31, Number.NaN];
const commits = [1, '', 'main', 'a'.repeat(39), 'a'.repeat(41), 'a'.repeat(63), 'A'.repeat(40), 'g'.repeat(40)];
const timeouts = [null, 0, 999, 604_800_001, 1_000.5, '5000', Number.POSITIVE_INFINITY];
const urls = [
  1,
  '',
  'shop.example.com',
  '/preview',
  'ftp://example.com',
  'javascript:alert(1)',
  'https://',
  'https://ada:password@example.com/',
  'https://example.com/a\0b',
  'https://example.com/\ud800',
  `https://example.com/${'x'.repeat(2_000)}`,
];
const statuses = [undefined, null, '', 'created', 'canceled', 'replaced', 'inactive', 'superseded', 'constructor'];

/** Positions in a list by name that a database would stumble over. */
const placesByName = [
  null,
  'a',
  { name: 'a' },
  { id },
  { name: 'a\0b', id },
  { name: '\ud800', id },
  { name: 'a', id: "'; --" },
  { name: 'a', id, more: 1 },
];
const placesOfRepos = [
  null,
  'a',
  { provider: 'github' },
  { nameKey: 'a/b' },
  { provider: 'a\0b', nameKey: 'a/b' },
  { provider: 'github', nameKey: '\ud800' },
];
const placesInHistory = [null, 0, -1, 1.5, 2 ** 40, '1'];

const repo = { provider: 'github', fullName: 'acme/shop' };
const app = { projectId: id, repoId: id, name: 'Shop' };
const named = { projectId: id, repoId: id, environment: 'production' };
const deployment = { projectEnvironmentId: id, gitRef: 'main', sha: 'a'.repeat(40) };
const back = { projectEnvironmentId: id, to: id };

const wrongName = (input: object) => [
  ...within(input, 'projectId', [...missing, ...wrongIds]),
  ...within(input, 'repoId', [...missing, ...wrongIds]),
  ...within(input, 'environment', [...missing, ...environmentNames]),
];
const about = (input: object) => [
  ...within(input, 'projectId', [null, ...wrongIds]),
  ...within(input, 'repoId', [null, ...wrongIds]),
];

/** Of each method of deployments, calls that are malformed in every one of its arguments. */
export const malformedDeploymentCalls: Readonly<
  Record<Extract<Method, `deployments.${string}`>, readonly MalformedCall[]>
> = {
  'deployments.repos.register': [
    ...within(repo, 'provider', [...missing, ...providers]),
    ...within(repo, 'fullName', [...missing, ...fullNames]),
    ...within(repo, 'defaultBranch', [null, ...branches]),
    ...made(repo),
  ],
  'deployments.repos.get': ids(),
  'deployments.repos.list': pages({}, 'deployments.repos', placesOfRepos),
  'deployments.repos.delete': [...ids(), ...versioned({}, id)],
  'deployments.apps.create': [
    ...within(app, 'projectId', [...missing, ...wrongIds]),
    ...within(app, 'repoId', [...missing, ...wrongIds]),
    ...within(app, 'name', [...missing, ...names]),
    ...within(app, 'entrypoint', short),
    ...made(app),
  ],
  'deployments.apps.get': ids(),
  'deployments.apps.list': [...about({}), ...pages({}, 'deployments.apps', placesByName)],
  'deployments.apps.update': [
    ...ids({}),
    ...within({}, 'name', [null, ...names], id),
    ...within({}, 'entrypoint', short, id),
    ...versioned({}, id),
    { args: [id], path: '' },
  ],
  'deployments.apps.delete': [...ids(), ...versioned({}, id)],
  'deployments.environments.ensure': [
    ...wrongName(named),
    ...within(named, 'type', types),
    ...within(named, 'branch', branches),
    ...within(named, 'pullRequest', pullRequests),
    ...made(named),
  ],
  'deployments.environments.get': ids(),
  'deployments.environments.getByName': [
    ...wrongName(named),
    { args: [], path: '' },
    { args: ['production'], path: '' },
    { args: [{ ...named, unknown: 1 }], path: '' },
  ],
  'deployments.environments.getByBranch': [
    ...within({ branch: 'main' }, 'repoId', [...missing, ...wrongIds]),
    ...within({ repoId: id }, 'branch', [...missing, ...branches]),
    ...pages({ repoId: id, branch: 'main' }, 'deployments.environments.byBranch', placesByName),
  ],
  'deployments.environments.list': [
    ...about({ projectId: id, repoId: id }),
    ...within({ projectId: id }, 'type', types),
    ...pages({ projectId: id }, 'deployments.environments', placesByName),
    { args: [{}], path: '' },
    { args: [{ type: 'preview' }], path: '' },
  ],
  'deployments.environments.delete': [...ids(), ...versioned({}, id)],
  'deployments.start': [
    ...within(deployment, 'projectEnvironmentId', [...missing, ...wrongIds]),
    ...within(deployment, 'gitRef', [...missing, ...short]),
    ...within(deployment, 'sha', [...missing, ...commits]),
    ...within(deployment, 'description', descriptions),
    ...within(deployment, 'timeoutMs', timeouts),
    ...within(deployment, 'configuration', [null, id, [id]]),
    ...[...missing, ...wrongIds].map((environmentId) => ({
      args: [{ ...deployment, configuration: { environmentId } }],
      path: 'configuration.environmentId',
    })),
    { args: [{ ...deployment, configuration: { environmentId: id, unknown: 1 } }], path: 'configuration' },
    ...made(deployment),
  ],
  'deployments.report': [
    ...ids({ status: 'running' }),
    ...within({}, 'status', statuses, id),
    ...within({ status: 'success' }, 'url', urls, id),
    ...within({ status: 'failed' }, 'description', descriptions, id),
    ...made({ status: 'running' }, id),
  ],
  'deployments.cancel': [...ids(), ...keyed({}, id), { args: [id, { expectedVersion: 1 }], path: '' }],
  'deployments.get': ids(),
  'deployments.latest': ids().map(({ args }) => ({ args, path: 'projectEnvironmentId' })),
  'deployments.history': [
    ...within({}, 'projectEnvironmentId', [...missing, ...wrongIds]),
    ...pages({ projectEnvironmentId: id }, 'deployments.history', placesInHistory),
  ],
  'deployments.rollback': [
    ...within(back, 'projectEnvironmentId', [...missing, ...wrongIds]),
    ...within(back, 'to', [...missing, ...wrongIds]),
    ...versioned(back),
    { args: [], path: '' },
  ],
  'deployments.sweep': [
    ...within({}, 'limit', [0, 1_001, 1.5, '1', null]),
    ...within({}, 'dryRun', [1, 'yes', null]),
    { args: [null], path: '' },
    { args: [{ unknown: 1 }], path: '' },
  ],
};
