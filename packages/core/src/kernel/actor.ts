import * as z from 'zod';

import { anyText } from './text.ts';

const identifier = anyText.refine(
  (text) => text.length >= 1 && [...text].length <= 128 && !/\p{Cc}/u.test(text),
  'must have 1 to 128 characters, none of them a control character',
);

/** An org's own id, chosen by the host: 1–128 characters, compared exactly. Everything is scoped by it. */
export const orgId = identifier;

/** Who a client acts for. `type` and `id` are the host's own words (`user`, `service`, `github-app`, …). */
export const caller = z.strictObject({ org: orgId, type: identifier, id: identifier });
/** Whom a client acts for: an org, and who in it. */
export type Caller = z.infer<typeof caller>;

/** Who did something, as the journal keeps it. */
export interface Actor {
  readonly type: string;
  readonly id: string;
}
