import { inspect } from 'node:util';

import { InvalidInput, SecretText } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { segmentAnalytics, SegmentFailure } from '../../src/segment/index.ts';
import { nobody, peer } from '../loopback.ts';

const writeKey = 'canary-write-key';
const event = {
  name: 'environment_created' as const,
  orgId: 'acme',
  actor: { type: 'user', id: 'ada' },
  properties: { appId: 'a', pullRequest: 7, fork: false, url: null },
  messageId: 'preview-1-created',
  at: new Date('2026-11-21T10:00:00.000Z'),
};

describe('an event', () => {
  test('is one call to track, which Segment knows again by its id', async () => {
    const { url, received } = await peer({ status: 200, body: '{"success":true}' });
    const analytics = segmentAnalytics({ writeKey: new SecretText(writeKey), url: `${url}/v1/track` });
    await analytics.track(event);
    await analytics.track(event);
    expect(received).toHaveLength(2);
    expect(received[0]).toMatchObject({
      path: '/v1/track',
      headers: {
        authorization: `Basic ${Buffer.from(`${writeKey}:`).toString('base64')}`,
        'content-type': 'application/json',
      },
    });
    expect(JSON.parse(received[0]!.body)).toEqual({
      userId: 'ada',
      event: 'environment_created',
      properties: { appId: 'a', pullRequest: 7, fork: false, url: null, orgId: 'acme' },
      context: { groupId: 'acme' },
      messageId: 'preview-1-created',
      timestamp: '2026-11-21T10:00:00.000Z',
    });
    expect(received[1]!.body).toBe(received[0]!.body);
  });

  test('of something that is no person has no user', async () => {
    const { url, received } = await peer({ status: 200 });
    await segmentAnalytics({ writeKey, url }).track({ ...event, actor: { type: 'system', id: 'sweep' } });
    const call = JSON.parse(received[0]!.body) as Record<string, unknown>;
    expect(call).toMatchObject({ anonymousId: 'acme:system:sweep' });
    expect(call).not.toHaveProperty('userId');
  });

  test.each([
    [{ status: 400, body: writeKey }, 400],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1' } }, 302],
    [{ status: 500 }, 500],
    ['hang up' as const, null],
    ['hang' as const, null],
  ])('that is not taken is rejected with, and shows nothing: %j', async (answer, status) => {
    const { url } = await peer(answer);
    const failure = await segmentAnalytics({ writeKey, url, timeoutMs: 100 })
      .track(event)
      .then(
        () => expect.unreachable(),
        (thrown: unknown) => thrown,
      );
    expect(failure).toBeInstanceOf(SegmentFailure);
    expect(failure).toMatchObject({ status });
    const shown = inspect(failure, { depth: 9, showHidden: true });
    expect(shown).not.toContain(writeKey);
    expect(shown).not.toContain(Buffer.from(`${writeKey}:`).toString('base64'));
  });

  test('says why nobody took it', async () => {
    const analytics = segmentAnalytics({ writeKey, url: await nobody() });
    await expect(analytics.track(event)).rejects.toThrow('ECONNREFUSED');
  });
});

test.each([
  ['writeKey', { writeKey: '' }],
  ['url', { url: 'http://segment.example/v1/track' }],
  ['timeoutMs', { timeoutMs: 1.5 }],
  ['key', { key: writeKey }],
])('a configuration is refused for its %s', (path, wrong) => {
  expect(() => segmentAnalytics({ writeKey, ...wrong })).toThrow(InvalidInput);
  expect(() => segmentAnalytics({ writeKey, ...wrong })).toThrow(path);
});
