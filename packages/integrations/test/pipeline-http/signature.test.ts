import { describe, expect, test } from 'vitest';

import { verifyPipelineRequest } from '../../src/pipeline-http/index.ts';
import { signatureOf } from '../../src/pipeline-http/signature.ts';

const secret = '0123456789abcdef0123456789abcdef';
const body = '{"version":1,"type":"start","stateChange":{"id":"c1"}}';
const timestamp = '1790000000';
const now = 1_790_000_000_000;
/** Made with Python's hmac: the format is for receivers in any language. */
const signature = 'v1=239d40412f9ed52cf6e0c8630ba60da26a30b3a14b5dc564a37f77ca9e94bb36';
const headers = { 'vivarium-timestamp': timestamp, 'vivarium-signature': signature };

const verify = (more: Partial<Parameters<typeof verifyPipelineRequest>[0]> = {}) =>
  verifyPipelineRequest({ headers, body, secret, now, ...more });

const reasonOf = (more: Parameters<typeof verify>[0]) => {
  const result = verify(more);
  return result.isErr() ? result.error.reason : 'verified';
};

describe('a signed request', () => {
  test('is verified in every form that headers and bodies come in', () => {
    const request = { version: 1, type: 'start', stateChange: { id: 'c1' } };
    for (const form of [
      {},
      { body: Buffer.from(body) },
      { body: new Uint8Array(Buffer.from(body)) },
      { headers: new Headers(headers) },
      { headers: { 'Vivarium-Timestamp': timestamp, 'Vivarium-Signature': signature } },
    ]) {
      expect(verify(form)._unsafeUnwrap()).toEqual({ request, idempotencyKey: 'c1' });
    }
  });

  test('gives the key of what was signed, not of a header that anybody could have set', () => {
    const replayed = { ...headers, 'idempotency-key': 'another' };
    expect(verify({ headers: replayed })._unsafeUnwrap().idempotencyKey).toBe('c1');
  });

  test('is not verified when any byte of it was changed', () => {
    for (let index = 0; index < body.length; index++) {
      const changed = Buffer.from(body);
      changed[index]! ^= 1;
      expect(reasonOf({ body: changed })).toBe('wrong_signature');
    }
    for (let index = 0; index < timestamp.length; index++) {
      const changed = `${timestamp.slice(0, index)}${(Number(timestamp[index]) + 1) % 10}${timestamp.slice(index + 1)}`;
      const moved = { ...headers, 'vivarium-timestamp': changed };
      expect(reasonOf({ headers: moved, now: Number(changed) * 1_000 })).toBe('wrong_signature');
    }
    for (let index = 3; index < signature.length; index++) {
      const changed = `${signature.slice(0, index)}${signature[index] === '0' ? '1' : '0'}${signature.slice(index + 1)}`;
      expect(reasonOf({ headers: { ...headers, 'vivarium-signature': changed } })).toBe('wrong_signature');
    }
  });

  test('does not pass for another by moving the border between time and body', () => {
    const moved = { 'vivarium-timestamp': '179000000', 'vivarium-signature': signatureOf(secret, '1790000000', body) };
    expect(reasonOf({ headers: moved, body: `0.${body}`, now: 179_000_000_000 })).toBe('wrong_signature');
  });

  test.each([
    ['another secret', 'x'.repeat(32), 'wrong_signature'],
    ['no secret', '', 'wrong_signature'],
    ['no secrets', [], 'wrong_signature'],
    ['the former and the next secret', ['x'.repeat(32), secret], 'verified'],
    ['an unset former secret', ['', secret], 'verified'],
  ])('with %s: %s → %s', (_, given, expected) => {
    expect(reasonOf({ secret: given })).toBe(expected);
  });

  test('of an empty secret is not verified by an empty secret', () => {
    const unkeyed = { ...headers, 'vivarium-signature': signatureOf('', timestamp, body) };
    expect(reasonOf({ headers: unkeyed, secret: '' })).toBe('wrong_signature');
  });

  test.each([
    [-300_000, 'verified'],
    [300_000, 'verified'],
    [-300_001, 'outside_window'],
    [300_001, 'outside_window'],
  ])('%i ms from now: %s', (distance, expected) => {
    expect(reasonOf({ now: now + distance })).toBe(expected);
  });

  test('has the window that the receiver says', () => {
    expect(reasonOf({ now: now + 5_000, toleranceMs: 5_000 })).toBe('verified');
    expect(reasonOf({ now: now + 5_001, toleranceMs: 5_000 })).toBe('outside_window');
    expect(reasonOf({ toleranceMs: Number.NaN })).toBe('outside_window');
  });

  test.each([
    ['no timestamp', { 'vivarium-signature': signature }],
    ['no signature', { 'vivarium-timestamp': timestamp }],
    ['two signatures', { ...headers, 'vivarium-signature': [signature, signature] }],
    ['a timestamp that is no number', { ...headers, 'vivarium-timestamp': '1e9' }],
    ['a signature of another version', { ...headers, 'vivarium-signature': signature.replace('v1', 'v2') }],
    ['a short signature', { ...headers, 'vivarium-signature': signature.slice(0, -2) }],
    ['a signature in capitals', { ...headers, 'vivarium-signature': signature.toUpperCase() }],
  ])('with %s is unsigned', (_, given) => {
    expect(reasonOf({ headers: given })).toBe('unsigned');
  });

  test.each([
    '{',
    'null',
    '{}',
    '[]',
    '{"version":2,"type":"start","stateChange":{"id":"c1"}}',
    '{"version":1,"type":"pause","stateChange":{"id":"c1"}}',
    '{"version":1,"type":"start"}',
  ])('that says %s is not understood', (other) => {
    const signed = { ...headers, 'vivarium-signature': signatureOf(secret, timestamp, other) };
    expect(reasonOf({ headers: signed, body: other })).toBe('not_understood');
  });
});
