import { createHmac, timingSafeEqual } from 'node:crypto';

/** A report as it comes in: the bytes that were signed, and the signature over them. */
export interface SignedReport {
  /** JSON of a `RuntimeReport`, exactly as it was signed. */
  readonly body: string;
  /** `sha256=` and the HMAC-SHA-256 of the body by the run's key, in hexadecimal. */
  readonly signature: string;
}

/** Signs a report with the key of its run, for runtimes and their tests. */
export function signReport(body: string, reportKey: string): SignedReport {
  return { body, signature: `sha256=${createHmac('sha256', reportKey).update(body).digest('hex')}` };
}

/** Whether a report was signed with this key. */
export function isSignedWith({ body, signature }: SignedReport, reportKey: string): boolean {
  const expected = Buffer.from(signReport(body, reportKey).signature);
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The key of one run: a runtime that has it cannot speak for another run, be it an earlier or a later one. */
export function keyOfRun(environmentKey: string, generation: number): string {
  return createHmac('sha256', environmentKey).update(`run ${generation}`).digest('base64url');
}
