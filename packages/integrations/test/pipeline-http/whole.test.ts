import { createRequestListener } from '@remix-run/node-fetch-server';
import { createVivarium, unwrap } from '@vivarium/core';
import type { Clock } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { describe, expect, test } from 'vitest';

import { completionHandler, httpPipelines, verifyPipelineRequest } from '../../src/pipeline-http/index.ts';
import type { PipelineStartRequest } from '../../src/pipeline-http/index.ts';
import { serve } from '../loopback.ts';
import { secret } from './change.ts';

/** What the CI answers to a start, in the order of its requests; the last answer again and again. */
type Behaviour = 'take on' | 'refuse' | 'fail' | 'take on and hang up';

/** A host with a Vivarium, and a CI on the other side of HTTP, as two servers. */
async function hostAndCi(...behaviours: readonly Behaviour[]) {
  const clock: Clock & { ms: number } = { ms: Date.UTC(2026, 10, 21), now: () => new Date(clock.ms) };
  const started = new Map<string, PipelineStartRequest[]>();
  const canceled: string[] = [];
  let requests = 0;

  const ci = await serve(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const verified = verifyPipelineRequest({ headers: request.headers, body, secret });
    if (verified.isErr()) return void response.writeHead(401).end();
    const { request: asked, idempotencyKey } = verified.value;
    if (asked.type === 'cancel') {
      canceled.push(asked.stateChange.id);
      return void response.writeHead(202).end();
    }
    const behaviour = behaviours[Math.min(requests++, behaviours.length - 1)]!;
    if (behaviour === 'refuse') return void response.writeHead(422).end();
    if (behaviour === 'fail') return void response.writeHead(500).end();
    started.set(idempotencyKey, [...(started.get(idempotencyKey) ?? []), asked]);
    if (behaviour === 'take on and hang up') return void request.socket.destroy();
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"executionId":"run-1"}');
  });

  const vivarium = createVivarium({
    storage: memoryStorage(),
    clock,
    pipelines: httpPipelines({ url: ci, secret, retries: 0, completionUrl: 'https://host.example/complete' }),
  });
  const host = await serve(createRequestListener(completionHandler({ vivarium })));

  const ada = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });
  const actions = (['provisioning', 'deploying', 'deprovisioning'] as const).map((stateChangeType) => ({
    stateChangeType,
    pipelineYamlName: `${stateChangeType}.yml`,
  }));
  const type = await unwrap(ada.ephemeral.types.create({ name: 'Web', maxNumberOfInstances: 3, actions }));
  await unwrap(ada.ephemeral.types.publish(type.id));
  const instance = await unwrap(ada.ephemeral.instances.create({ typeId: type.id, name: 'feature-42' }));

  const complete = async (
    { org, stateChange, token }: PipelineStartRequest,
    word: Readonly<Record<string, unknown>>,
  ) => {
    const response = await fetch(host, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ stateChangeId: stateChange.id, org, ...word }),
    });
    const text = await response.text();
    return { status: response.status, code: text === '' ? null : (JSON.parse(text) as { code: string }).code };
  };
  const state = async () => (await unwrap(ada.ephemeral.instances.get(instance.id))).state;
  return { ada, clock, instance, started, canceled, complete, state };
}

describe('a change carried out over HTTP', () => {
  test('is started there and completed from there, once', async () => {
    const { ada, instance, started, complete, state } = await hostAndCi('take on');
    const change = await unwrap(ada.ephemeral.instances.provision(instance.id, { parameters: { size: 'small' } }));
    expect(change).toMatchObject({ result: 'pending', executionId: 'run-1' });
    const [asked] = started.get(change.id)!;
    expect(asked).toMatchObject({
      org: 'acme',
      action: { pipelineYamlName: 'provisioning.yml' },
      instance: { name: 'feature-42' },
      parameters: { size: 'small' },
      completionUrl: 'https://host.example/complete',
    });

    expect(await complete(asked!, { result: 'passed' })).toEqual({ status: 204, code: null });
    expect(await state()).toBe('ready_to_use');
    expect(await complete(asked!, { result: 'passed' })).toEqual({ status: 204, code: null });
    expect(await complete(asked!, { result: 'failed' })).toEqual({ status: 409, code: 'change_superseded' });
    expect(await state()).toBe('ready_to_use');
  });

  test('fails with the pipeline’s reason', async () => {
    const { ada, instance, started, complete, state } = await hostAndCi('take on');
    const change = await unwrap(ada.ephemeral.instances.provision(instance.id));
    await complete(started.get(change.id)![0]!, { result: 'failed', reason: 'no quota left' });
    expect(await state()).toBe('failed_provisioning');
    expect(await unwrap(ada.ephemeral.stateChanges.get(change.id))).toMatchObject({
      result: 'failed',
      reason: 'no quota left',
    });
  });

  test('is completed by nobody without its token, and nobody learns whether it exists', async () => {
    const { ada, instance, started, complete, state } = await hostAndCi('take on');
    const change = await unwrap(ada.ephemeral.instances.provision(instance.id));
    const asked = started.get(change.id)![0]!;
    const wrong = { status: 401, code: 'invalid_token' };
    expect(await complete({ ...asked, token: 'guessed' }, { result: 'passed' })).toEqual(wrong);
    expect(await complete({ ...asked, org: 'other' }, { result: 'passed' })).toEqual(wrong);
    const unknown = { ...asked, stateChange: { ...asked.stateChange, id: '019a0000-0000-7000-8000-000000000009' } };
    expect(await complete(unknown, { result: 'passed' })).toEqual(wrong);
    expect(await complete(asked, { result: 'perhaps' })).toEqual({ status: 400, code: 'invalid_input' });
    expect(await complete({ ...asked, org: '' }, { result: 'passed' })).toEqual({ status: 400, code: 'invalid_input' });
    expect(await state()).toBe('provisioning');
  });

  test('that the CI refuses has failed', async () => {
    const { ada, instance, state } = await hostAndCi('refuse');
    expect(await unwrap(ada.ephemeral.instances.provision(instance.id))).toMatchObject({ result: 'failed' });
    expect(await state()).toBe('failed_provisioning');
  });

  test.each(['fail', 'take on and hang up'] as const)(
    'whose first call ended in "%s" is called again by sweep, under the same key',
    async (first) => {
      const { ada, clock, instance, started, complete, state } = await hostAndCi(first, 'take on');
      const change = await unwrap(ada.ephemeral.instances.provision(instance.id));
      expect(change.result).toBe('pending');
      expect(await state()).toBe('provisioning');

      clock.ms += 60_000;
      expect(await unwrap(ada.ephemeral.sweep())).toMatchObject([{ action: 'call_again', outcome: 'done' }]);
      const calls = started.get(change.id)!;
      expect(calls).toHaveLength(first === 'fail' ? 1 : 2);
      expect(await complete(calls[0]!, { result: 'passed' })).toEqual({ status: 204, code: null });
      expect(await state()).toBe('ready_to_use');
    },
  );

  test('that is canceled is stopped there, too, and its token is dead', async () => {
    const { ada, instance, started, canceled, complete, state } = await hostAndCi('take on');
    const change = await unwrap(ada.ephemeral.instances.provision(instance.id));
    await unwrap(ada.ephemeral.stateChanges.cancel(change.id));
    expect(canceled).toEqual([change.id]);
    expect(await complete(started.get(change.id)![0]!, { result: 'passed' })).toEqual({
      status: 409,
      code: 'change_superseded',
    });
    expect(await state()).toBe('failed_provisioning');
  });
});
