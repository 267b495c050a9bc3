import { err, InvalidInput, isSignedWith, ok, ResultAsync } from '@vivarium/core';
import type { RuntimeReport } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { reportHandler, signedReport } from '../../src/runtime-http/index.ts';

const key = 'canary-report-key';
const report: RuntimeReport = {
  version: 1,
  orgId: 'acme',
  projectEnvironmentId: 'p1',
  generation: 3,
  sequence: 1,
  status: 'running',
  url: 'https://pr-7.example',
};
type Failure = { readonly code: string; readonly message: string };

/** A Vivarium that believes this key alone. */
function believing(failure: Failure | Error | null = null) {
  const heard: { org: string; body: string }[] = [];
  const system = (org: string) => ({
    previews: {
      report: (given: { readonly body: string; readonly signature: string }) => {
        if (failure instanceof Error) throw failure;
        const wrong = isSignedWith(given, key) ? failure : { code: 'invalid_signature', message: 'canary' };
        if (wrong === null) heard.push({ org, body: given.body });
        return new ResultAsync<unknown, Failure>(Promise.resolve(wrong === null ? ok({}) : err(wrong)));
      },
    },
  });
  return { vivarium: { system }, heard };
}

const request = (init: RequestInit) => new Request('http://host.test/reports', { method: 'POST', ...init });

describe('a report', () => {
  test('is handed on as it was signed', async () => {
    const { vivarium, heard } = believing();
    const response = await reportHandler({ vivarium })(request(signedReport(report, key)));
    expect(response.status).toBe(204);
    expect(heard).toEqual([{ org: 'acme', body: JSON.stringify(report) }]);
  });

  test.each([
    ['another key', signedReport(report, 'another key')],
    ['no signature', { ...signedReport(report, key), headers: { 'content-type': 'application/json' } }],
    ['another body', { ...signedReport(report, key), body: JSON.stringify({ ...report, sequence: 2 }) }],
    ['a byte order mark', { ...signedReport(report, key), body: `\uFEFF${JSON.stringify(report)}` }],
  ])('is not believed with %s', async (what, init) => {
    const { vivarium, heard } = believing();
    const response = await reportHandler({ vivarium })(request(init));
    expect(response.status).toBe(what === 'a byte order mark' ? 400 : 401);
    expect(await response.text()).not.toContain('canary');
    expect(heard).toEqual([]);
  });

  test('of another org is not for a handler of one org', async () => {
    const { vivarium, heard } = believing();
    const handle = reportHandler({ vivarium, org: 'other' });
    expect((await handle(request(signedReport(report, key)))).status).toBe(401);
    expect(heard).toEqual([]);
  });

  test.each([
    ['not_found', 401],
    ['invalid_input', 400],
    ['storage_failure', 503],
    ['key_management_failure', 503],
  ])('that fails with %s is answered with %i', async (code, status) => {
    const { vivarium } = believing({ code, message: status === 503 ? 'canary' : 'sequence: must be 1 or more' });
    const response = await reportHandler({ vivarium })(request(signedReport(report, key)));
    expect(response.status).toBe(status);
    expect(await response.text()).not.toContain('canary');
  });

  test('is answered alike where the environment does not exist and where the signature is wrong', async () => {
    const unknown = await reportHandler({ vivarium: believing({ code: 'not_found', message: 'x' }).vivarium })(
      request(signedReport(report, key)),
    );
    const wrong = await reportHandler({ vivarium: believing().vivarium })(request(signedReport(report, 'another key')));
    expect(await unknown.text()).toBe(await wrong.text());
  });

  test.each([
    [405, { method: 'GET' }],
    [415, { ...signedReport(report, key), headers: { 'content-type': 'text/plain' } }],
    [400, signedReport([] as never, key)],
    [413, signedReport({ ...report, reason: 'x'.repeat(70_000) }, key)],
  ])('is not one: %i', async (status, init) => {
    expect((await reportHandler({ vivarium: believing().vivarium })(request(init))).status).toBe(status);
  });

  test('for a malformed org is the sender’s mistake, a defect is the host’s', async () => {
    const malformed = believing(new InvalidInput([{ path: 'org', message: 'must be shorter' }]));
    expect((await reportHandler({ vivarium: malformed.vivarium })(request(signedReport(report, key)))).status).toBe(
      400,
    );
    const defect = believing(new TypeError('a defect'));
    await expect(reportHandler({ vivarium: defect.vivarium })(request(signedReport(report, key)))).rejects.toThrow(
      'a defect',
    );
  });
});

test('a configuration needs a Vivarium', () => {
  expect(() => reportHandler({} as never)).toThrow('vivarium');
  expect(() => reportHandler({ vivarium: believing().vivarium, org: '' })).toThrow(InvalidInput);
});
