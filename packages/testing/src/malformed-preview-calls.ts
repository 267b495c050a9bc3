import type { Method } from '@vivarium/core';

import { id, ids, keyed, made, missing, pages, versioned, within, wrongIds } from './malformed-arguments.ts';
import type { MalformedCall } from './malformed-calls.ts';

const branches = [1, '', 'x'.repeat(256), 'a\0b', '\ud800'];
const fullNames = [1, '', 'shop', '/shop', 'acme//shop', 'acme/shop\n', 'acme/sh op', `acme/${'x'.repeat(101)}`];
const environmentNames = [1, '', 'Production', 'pr 1', 'pr#1', 'a\0b', 'x'.repeat(101)];
const commits = [1, '', 'main', 'a'.repeat(39), 'a'.repeat(41), 'A'.repeat(40), 'g'.repeat(40)];
const pullRequests = [0, -1, 1.5, '42', 2 ** 31, Number.NaN];
const types = [null, 1, '', 'staging', 'constructor', ['preview']];
const secretNames = [1, '', 'A B', 'A/B', 'Ä', 'A\n', 'x'.repeat(257)];
const values = [1, 'a\0b', '\ud800', 'x'.repeat(65_537), 'ä'.repeat(32_769)];

const wanted = { appId: id, pullRequest: 1, branch: 'feature', sha: 'a'.repeat(40) };
const approved = { projectEnvironmentId: id, sha: 'a'.repeat(40) };
const message = { version: 1, orgId: 'acme', projectEnvironmentId: id, sequence: 1 };
const secret = { appId: id, environmentType: 'preview', name: 'API_KEY' };
const delivered = { deliveryId: 'one', provider: 'github', repo: 'acme/shop' };
const opened = { type: 'pull_request_opened', ...delivered, headRepo: 'acme/shop', ...rest(wanted) };
const pushed = { type: 'branch_pushed', ...delivered, branch: 'main', sha: 'a'.repeat(40) };
const report = { version: 1, orgId: 'acme', projectEnvironmentId: id, generation: 1, sequence: 1, status: 'running' };
const open = rest(wanted);

function rest({ pullRequest, branch, sha }: typeof wanted) {
  return { pullRequest, branch, sha };
}

/** Places in a list of the newest first that a database would stumble over. */
const positions = [
  null,
  id,
  { id },
  { createdAt: '2026-01-01T00:00:00.000Z' },
  { createdAt: 'yesterday', id },
  { createdAt: 1, id },
  { createdAt: '2026-01-01T00:00:00.000Z', id: "'; --" },
  { createdAt: '2026-01-01T00:00:00.000Z', id, more: 1 },
];

const wrongSecret = (input: object) => [
  ...within(input, 'appId', [...missing, ...wrongIds]),
  ...within(input, 'environmentType', [undefined, ...types]),
];
/** A report whose signature nobody looks at: it says nothing that could be one of a preview. */
const signed = (body: unknown, path: string): MalformedCall => ({
  args: [{ body: typeof body === 'string' ? body : JSON.stringify(body), signature: 'sha256=x' }],
  path,
});
const reported = (field: string, wrong: readonly unknown[]) =>
  wrong.map((value) => signed({ ...report, [field]: value }, `body.${field}`));
const inEvent = (input: object, field: string, wrong: readonly unknown[]) => within(input, field, wrong);
const inOpen = (field: string, wrong: readonly unknown[]) =>
  wrong.map((value) => ({
    args: [{ appId: id, openPullRequests: [open, { ...open, [field]: value }] }],
    path: `openPullRequests[1].${field}`,
  }));

/** Of each method of previews, calls that are malformed in every one of its arguments. */
export const malformedPreviewCalls: Readonly<Record<Extract<Method, `previews.${string}`>, readonly MalformedCall[]>> =
  {
    'previews.create': [
      ...within(wanted, 'appId', [...missing, ...wrongIds]),
      ...within(wanted, 'type', types),
      ...within(wanted, 'environment', [null, ...environmentNames]),
      ...within(wanted, 'branch', [...missing, ...branches]),
      ...within(wanted, 'headRepo', [null, ...fullNames]),
      ...within(wanted, 'pullRequest', pullRequests),
      ...within(wanted, 'pullRequest', [null, undefined]),
      ...within(wanted, 'sha', [...missing, ...commits]),
      ...made(wanted),
    ],
    'previews.restart': [...ids(), ...versioned({}, id)],
    'previews.stop': [...ids(), ...versioned({}, id)],
    'previews.remove': [...ids(), ...versioned({}, id)],
    'previews.approve': [
      ...within(approved, 'projectEnvironmentId', [...missing, ...wrongIds]),
      ...within(approved, 'sha', [...missing, ...commits]),
      ...versioned(approved),
      { args: [], path: '' },
    ],
    'previews.forget': [
      ...ids({ note: 'gone' }),
      ...within({}, 'note', [...missing, 1, '', '  \n', 'x'.repeat(1_001), 'a\0b', '\ud800'], id),
      ...versioned({ note: 'gone' }, id),
      { args: [id], path: '' },
    ],
    'previews.get': ids(),
    'previews.list': [
      ...within({}, 'appId', [...missing, ...wrongIds]),
      ...within({ appId: id }, 'status', [null, '', 'none', 'Running', 'constructor']),
      ...pages({ appId: id }, 'previews', positions),
      { args: [], path: '' },
    ],
    'previews.handle': [
      ...within(message, 'version', [undefined, 0, 2, '1']).map(inMessage),
      ...within(message, 'orgId', [...missing, 1, '', 'another org']).map(inMessage),
      ...within(message, 'projectEnvironmentId', [...missing, ...wrongIds]).map(inMessage),
      ...within(message, 'sequence', [undefined, 0, 1.5, '1', null]).map(inMessage),
      { args: [{ ...message, unknown: 1 }], path: 'message' },
      { args: [], path: 'message' },
      { args: [message, { signal: {} }], path: 'signal' },
      { args: [message, { unknown: 1 }], path: '' },
    ],
    'previews.report': [
      { args: [], path: '' },
      { args: [{ body: '{}' }], path: 'signature' },
      { args: [{ body: 1, signature: '' }], path: 'body' },
      { args: [{ body: 'x'.repeat(65_537), signature: '' }], path: 'body' },
      { args: [{ body: '{}', signature: 'x'.repeat(201) }], path: 'signature' },
      { args: [{ body: '{}', signature: '', unknown: 1 }], path: '' },
      signed('', 'body'),
      signed('{', 'body'),
      signed('null', 'body'),
      signed('[]', 'body'),
      signed({ ...report, unknown: 1 }, 'body'),
      ...reported('version', [undefined, 2, '1']),
      ...reported('orgId', [undefined, 1, '']),
      ...reported('projectEnvironmentId', [undefined, ...wrongIds]),
      ...reported('generation', [undefined, 0, 1.5, '1']),
      ...reported('sequence', [undefined, 0, 1.5, '1']),
      ...reported('status', [undefined, '', 'stopped', 'deploying', 'constructor']),
      ...reported('url', [
        1,
        '',
        'shop',
        'ftp://example.com',
        'javascript:alert(1)',
        'https://ada:password@example.com/',
      ]),
      ...reported('tests', [1, '', 'skipped']),
      ...reported('reason', [1, 'x'.repeat(1_001), 'a\0b']),
    ],
    'previews.onEvent': [
      { args: [], path: '' },
      ...inEvent(opened, 'type', [undefined, null, 'pull_request_merged', 'constructor']),
      ...inEvent(opened, 'deliveryId', [...missing, 1, '', 'x'.repeat(256)]),
      ...inEvent(opened, 'provider', [...missing, 1, '', 'GitHub']),
      ...inEvent(opened, 'repo', [...missing, ...fullNames]),
      ...inEvent(opened, 'pullRequest', [...missing, ...pullRequests]),
      ...inEvent(opened, 'branch', [...missing, ...branches]),
      ...inEvent(opened, 'headRepo', [...missing, ...fullNames]),
      ...inEvent(opened, 'sha', [...missing, ...commits]),
      ...inEvent(pushed, 'branch', [...missing, ...branches]),
      ...inEvent(pushed, 'sha', [...missing, ...commits]),
      { args: [{ ...pushed, pullRequest: 1 }], path: '' },
      { args: [{ type: 'pull_request_closed', ...delivered }], path: 'pullRequest' },
      { args: [{ ...opened, unknown: 1 }], path: '' },
    ],
    'previews.reconcile': [
      ...within({ openPullRequests: [] }, 'appId', [...missing, ...wrongIds]),
      ...within({ appId: id }, 'openPullRequests', [
        ...missing,
        {},
        [open, open],
        Array.from({ length: 1_001 }, () => open),
      ]),
      ...inOpen('pullRequest', [...missing, ...pullRequests]),
      ...inOpen('branch', [...missing, ...branches]),
      ...inOpen('headRepo', [null, ...fullNames]),
      ...inOpen('sha', [...missing, ...commits]),
      { args: [{ appId: id, openPullRequests: [], unknown: 1 }], path: '' },
      { args: [], path: '' },
    ],
    'previews.sweep': [
      ...within({}, 'olderThanMs', [0, 59_999, 31_536_000_001, 60_000.5, '60000', null]),
      ...within({}, 'limit', [0, 1_001, 1.5, '1', null]),
      ...within({}, 'dryRun', [1, 'yes', null]),
      { args: [null], path: '' },
      { args: [{ unknown: 1 }], path: '' },
    ],
    'previews.secrets.set': [
      ...wrongSecret({ ...secret, value: 'x' }),
      ...within({ ...secret, value: 'x' }, 'name', [...missing, ...secretNames]),
      ...within(secret, 'value', [...missing, ...values]),
      ...made({ ...secret, value: 'x' }),
    ],
    'previews.secrets.list': [...wrongSecret(secretOwner()), { args: [{ ...secretOwner(), name: 'X' }], path: '' }],
    'previews.secrets.remove': [
      ...wrongSecret(secret),
      ...within(secret, 'name', [...missing, ...secretNames]),
      ...keyed(secret),
      { args: [{ ...secret, expectedVersion: 1 }], path: '' },
    ],
  };

function secretOwner() {
  return { appId: id, environmentType: 'preview' };
}

function inMessage({ args, path }: MalformedCall): MalformedCall {
  return { args, path: `message.${path}` };
}
