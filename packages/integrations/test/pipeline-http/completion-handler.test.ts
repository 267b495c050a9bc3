import { InvalidInput } from '@vivarium/core';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { completionHandler } from '../../src/pipeline-http/index.ts';
import type { CompletingVivarium } from '../../src/pipeline-http/index.ts';
import { answering } from './answering.ts';
import { changeId, token } from './change.ts';

const said = { stateChangeId: changeId, org: 'acme', result: 'passed' };

function request(
  body: unknown = said,
  { method = 'POST', ...headers }: Readonly<Record<string, string>> = {},
): Request {
  const all = { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  const text =
    typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream
      ? body
      : JSON.stringify(body);
  const hasBody = method !== 'GET' && method !== 'HEAD';
  return new Request('https://host.example/vivarium/complete', {
    method,
    headers: given,
    ...(hasBody ? { body: text, duplex: 'half' } : {}),
  });
}

const problemOf = async (response: Response) => {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(response.headers.get('cache-control')).toBe('no-store');
  const problem = (await response.json()) as {
    status: number;
    code: string;
    detail?: string;
    type: string;
    title: string;
  };
  expect(problem).toMatchObject({ type: 'about:blank', status: response.status, title: expect.any(String) });
  return problem;
};

describe('a configuration of completionHandler', () => {
  test.each([
    ['nothing', undefined, ''],
    ['no Vivarium', { org: 'acme' }, 'vivarium'],
    ['a Vivarium that is none', { vivarium: {} }, 'vivarium'],
    ['an org that is none', { vivarium: answering().vivarium, org: null }, 'org'],
    ['an option that there is not', { vivarium: answering().vivarium, organisation: 'acme' }, 'organisation'],
  ])('with %s is refused, and says where', (_, options, path) => {
    const refusal = { code: 'invalid_input', issues: [expect.objectContaining({ path })] };
    expect(() => completionHandler(options as never)).toThrow(expect.objectContaining(refusal));
  });
});

describe('a completion', () => {
  test.each([
    ['passed', { ...said }, { result: 'passed' }],
    [
      'failed with a reason',
      { ...said, result: 'failed', reason: 'no quota' },
      { result: 'failed', reason: 'no quota' },
    ],
  ])('that says %s is told to Vivarium and answered 204', async (_, body, expected) => {
    const { vivarium, asked } = answering();
    const response = await completionHandler({ vivarium })(request(body));
    expect(response.status).toBe(204);
    expect(await response.text()).toBe('');
    expect(asked).toEqual([{ org: 'acme', stateChangeId: changeId, token, ...expected }]);
  });

  test('needs no org where the handler serves one', async () => {
    const { vivarium, asked } = answering();
    const { org: _, ...withoutOrg } = said;
    const handle = completionHandler({ vivarium, org: 'acme' });
    expect((await handle(request(withoutOrg))).status).toBe(204);
    expect((await handle(request(said))).status).toBe(204);
    expect(asked.map(({ org }) => org)).toEqual(['acme', 'acme']);
  });

  test('is for the org that the handler serves, or for none', async () => {
    const { vivarium, asked } = answering();
    const response = await completionHandler({ vivarium, org: 'acme' })(request({ ...said, org: 'other' }));
    expect(response.status).toBe(401);
    expect(asked).toEqual([]);
  });

  test('takes its token from the header alone', async () => {
    const { vivarium, asked } = answering();
    const response = await completionHandler({ vivarium })(request({ ...said, token: 'from the body' }));
    expect(response.status).toBe(204);
    expect(asked[0]!.token).toBe(token);
  });
});

describe('what Vivarium refuses', () => {
  test.each([
    ['invalid_input', 400],
    ['invalid_token', 401],
    ['not_found', 401],
    ['access_denied', 403],
    ['change_superseded', 409],
    ['idempotency_mismatch', 409],
    ['stale_version', 503],
    ['storage_failure', 503],
    ['key_management_failure', 503],
    ['not_configured', 500],
    ['something_new', 500],
  ])('%s is answered %i', async (code, status) => {
    const { vivarium } = answering({ code, message: 'as it is said to a host' });
    const response = await completionHandler({ vivarium })(request());
    expect(response.status).toBe(status);
    expect(response.headers.get('retry-after')).toBe(status === 503 ? '5' : null);
    const problem = await problemOf(response);
    expect(problem.code).toBe(code === 'not_found' ? 'invalid_token' : code);
    if (status >= 500) expect(problem).not.toHaveProperty('detail');
  });

  test('a wrong token, an unknown change and a foreign org look the same from outside', async () => {
    const seen = async (handle: (request: Request) => Promise<Response>, body: unknown = said) => {
      const response = await handle(request(body));
      return JSON.stringify([response.status, [...response.headers], await response.text()]);
    };
    const refusedWith = (code: string, message: string) =>
      completionHandler({ vivarium: answering({ code, message }).vivarium });
    const wrongToken = await seen(refusedWith('invalid_token', 'wrong'));
    expect(await seen(refusedWith('not_found', 'no such state change'))).toBe(wrongToken);
    const ofAcme = completionHandler({ vivarium: answering().vivarium, org: 'acme' });
    expect(await seen(ofAcme, { ...said, org: 'other' })).toBe(wrongToken);
    expect(wrongToken).toContain('www-authenticate');
  });

  test('a malformed org is the caller’s mistake', async () => {
    const vivarium: CompletingVivarium = {
      system: () => {
        throw new InvalidInput([{ path: 'org', message: 'must have 1 to 128 characters' }]);
      },
    };
    const response = await completionHandler({ vivarium })(request({ ...said, org: '' }));
    expect(await problemOf(response)).toMatchObject({
      status: 400,
      code: 'invalid_input',
      detail: expect.stringContaining('org'),
    });
  });

  test('a defect is left to the host’s own error handling', async () => {
    const vivarium: CompletingVivarium = {
      system: () => {
        throw new TypeError('a defect');
      },
    };
    await expect(completionHandler({ vivarium })(request())).rejects.toThrow('a defect');
  });

  test('no answer repeats the token', async () => {
    for (const code of [
      'invalid_input',
      'change_superseded',
      'storage_failure',
      'access_denied',
      'not_found',
      'other',
    ]) {
      const { vivarium } = answering({ code, message: `about ${token}` });
      const response = await completionHandler({ vivarium })(request());
      expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain(token);
    }
  });
});

describe('a request that is no completion', () => {
  const refused = async (given: Request) => {
    const { vivarium, asked } = answering();
    const response = await completionHandler({ vivarium })(given);
    expect(asked).toEqual([]);
    return { response, ...(await problemOf(response)) };
  };

  test.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'because its method is %s is told which one is',
    async (method) => {
      const { response, status } = await refused(request(said, { method }));
      expect(status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST');
    },
  );

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', ''])(
    'because it is %j is told so',
    async (type) => {
      const given =
        type === '' ? request(Buffer.from('{}'), { 'content-type': '' }) : request(said, { 'content-type': type });
      expect((await refused(given)).status).toBe(415);
    },
  );

  test('may name a charset', async () => {
    const { vivarium } = answering();
    const given = request(said, { 'content-type': 'Application/JSON; charset=utf-8' });
    expect((await completionHandler({ vivarium })(given)).status).toBe(204);
  });

  test.each([
    ['none', ''],
    ['another scheme', `Basic ${token}`],
    ['no token', 'Bearer '],
    ['two', `Bearer ${token} ${token}`],
    ['a huge one', `Bearer ${'a'.repeat(600)}`],
  ])('because of its authorization (%s) is unauthorized', async (_, authorization) => {
    const { response, status } = await refused(request(said, { authorization }));
    expect(status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="vivarium"');
  });

  test.each([
    ['nothing', ''],
    ['half of it', '{"stateChangeId":'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"passed"'],
    ['no UTF-8', Buffer.from(JSON.stringify({ ...said, reason: '\xff' }), 'latin1')],
    ['no org', JSON.stringify({ ...said, org: undefined })],
    ['an org that is no text', JSON.stringify({ ...said, org: { toString: 'acme' } })],
  ])('because its body is %s is a bad one', async (_, body) => {
    expect(await refused(request(body))).toMatchObject({ status: 400, code: 'invalid_input' });
  });

  test('because it is too long is not read to its end', async () => {
    const declared = request(said, { 'content-length': '65537' });
    expect((await refused(declared)).status).toBe(413);
    expect(declared.bodyUsed).toBe(false);

    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled++;
        controller.enqueue(new Uint8Array(16_384).fill(0x20));
      },
    });
    expect((await refused(request(endless))).status).toBe(413);
    expect(pulled).toBeLessThan(10);
  });

  test('of exactly 64 KiB is read', async () => {
    const { vivarium } = answering();
    const text = JSON.stringify(said).padEnd(65_536, ' ');
    expect((await completionHandler({ vivarium })(request(text))).status).toBe(204);
    expect((await completionHandler({ vivarium })(request(`${text} `))).status).toBe(413);
  });

  test('because it breaks off, or was read before, is a bad one', async () => {
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('gone')) });
    expect(await refused(request(broken))).toMatchObject({ status: 400 });
    const used = request();
    await used.text();
    expect(await refused(used)).toMatchObject({ status: 400, detail: expect.stringContaining('read before') });
  });
});

describe('a client that stops in the middle', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('is not waited for', async () => {
    const wait = vi.spyOn(AbortSignal, 'timeout');
    const patience = new AbortController();
    wait.mockReturnValue(patience.signal);
    let given = false;
    let canceled = false;
    const stalled = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (given) return new Promise<void>(() => {});
        given = true;
        controller.enqueue(Buffer.from(JSON.stringify(said).slice(0, 10)));
        return undefined;
      },
      cancel: () => {
        canceled = true;
      },
    });
    const { vivarium, asked } = answering();
    const answer = completionHandler({ vivarium })(request(stalled));
    setTimeout(() => patience.abort(), 20);
    expect(await problemOf(await answer)).toMatchObject({ status: 408 });
    expect(wait).toHaveBeenCalledWith(10_000);
    expect(canceled).toBe(true);
    expect(asked).toEqual([]);
  });
});
