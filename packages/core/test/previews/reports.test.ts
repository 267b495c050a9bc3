import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';

import { isSignedWith, keyOfRun, signReport } from '../../src/previews/reports.ts';

test('a report is signed by HMAC-SHA-256 over exactly its bytes', () => {
  const body = '{"status":"running","url":"https://ü.example"}';
  const signed = signReport(body, 'key');
  expect(signed).toEqual({ body, signature: `sha256=${createHmac('sha256', 'key').update(body).digest('hex')}` });
  expect(isSignedWith(signed, 'key')).toBe(true);
});

test('any other key, body or signature is refused', () => {
  const signed = signReport('{}', 'key');
  expect(isSignedWith(signed, 'yek')).toBe(false);
  expect(isSignedWith({ ...signed, body: '{ }' }, 'key')).toBe(false);
  for (const signature of [
    '',
    'sha256=',
    signed.signature.toUpperCase(),
    signed.signature.slice(0, -1),
    `${signed.signature}0`,
  ]) {
    expect(isSignedWith({ ...signed, signature }, 'key')).toBe(false);
  }
});

test('each run has a key of its own, and always the same', () => {
  const keys = [1, 2, 3, 11, 111].map((generation) => keyOfRun('environment', generation));
  expect(new Set(keys).size).toBe(5);
  expect(keyOfRun('environment', 2)).toBe(keys[1]);
  expect(keyOfRun('another', 2)).not.toBe(keys[1]);
});
