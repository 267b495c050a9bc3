import { SecretText } from '@vivarium/core';
import type { Analytics } from '@vivarium/core';
import { checkOptions, may, must } from '@vivarium/core/storage';

import { privateUrl } from '../private-url.ts';
import { wholeNumber } from '../whole-number.ts';

/** Where events are counted. */
export interface SegmentAnalyticsOptions {
  /** The write key of a source. */
  readonly writeKey: SecretText | string;
  /** `https://api.segment.io/v1/track` when not given; for workspaces in the EU `https://events.eu1.segmentapis.com/v1/track`. */
  readonly url?: string | undefined;
  /** For a proxy, tracing. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** How long Segment may take: 5,000 when not given, at most 60,000. */
  readonly timeoutMs?: number | undefined;
}

/** An event was not counted. Holds nothing of what was sent. */
export class SegmentFailure extends Error {
  override readonly name = 'SegmentFailure';
  /** What Segment answered; `null` when it did not. */
  readonly status: number | null;

  constructor(message: string, status: number | null) {
    super(message);
    this.status = status;
  }
}

/**
 * Counts what happens with previews by Segment's HTTP API: one call to `track` for each event, with core's message id, by which Segment drops what it has had before. People are
 * `userId`, everything else an `anonymousId`; the org is the group.
 *
 * Rejects with {@link SegmentFailure}, which previews ignore. Throws `InvalidInput` on a wrong configuration.
 */
export function segmentAnalytics(options: SegmentAnalyticsOptions): Analytics {
  checkOptions(options, {
    writeKey: must(
      (key) => (typeof key === 'string' && key !== '') || key instanceof SecretText,
      'must be the write key of a source',
    ),
    url: (url) => (url === undefined ? null : privateUrl(url)),
    fetch: may((fetch) => typeof fetch === 'function', 'must be a function'),
    timeoutMs: wholeNumber(1, 60_000),
  });
  const { url = 'https://api.segment.io/v1/track', fetch = globalThis.fetch, timeoutMs = 5_000 } = options;
  const writeKey = typeof options.writeKey === 'string' ? new SecretText(options.writeKey) : options.writeKey;

  return {
    track: async (event) => {
      const response = await answerTo(
        fetch(url, {
          method: 'POST',
          redirect: 'manual',
          headers: {
            authorization: `Basic ${Buffer.from(`${writeKey.reveal()}:`).toString('base64')}`,
            'content-type': 'application/json',
          },
          body: JSON.stringify(callOf(event)),
          signal: AbortSignal.timeout(timeoutMs),
        }),
      );
      await response.body?.cancel().catch(() => {});
      if (!response.ok) throw new SegmentFailure(`Segment answered ${response.status}`, response.status);
    },
  };
}

function callOf({ name, orgId, actor, properties, messageId, at }: Parameters<Analytics['track']>[0]) {
  const who = actor.type === 'user' ? { userId: actor.id } : { anonymousId: `${orgId}:${actor.type}:${actor.id}` };
  return {
    ...who,
    event: name,
    properties: { ...properties, orgId },
    context: { groupId: orgId },
    messageId,
    timestamp: at.toISOString(),
  };
}

async function answerTo(asked: Promise<Response>): Promise<Response> {
  try {
    return await asked;
  } catch (cause) {
    const { name, cause: inner } = (cause ?? {}) as { name?: unknown; cause?: { code?: unknown } };
    const isName = (each: unknown): each is string => typeof each === 'string' && /^\w{1,50}$/.test(each);
    const code = [inner?.code, name].find(isName) ?? 'Error';
    throw new SegmentFailure(`Segment could not be asked (${code})`, null);
  }
}
