import { expect, it } from 'vitest';

import { laneCount, laneOf } from '../../src/journal/model.ts';
import { fingerprintOf, keyIdOf } from '../../src/kernel/idempotency.ts';

it('a fingerprint is the same for equal inputs, whatever the order of their fields', () => {
  const input = { name: 'A', variables: [{ key: 'K', value: 'v' }] };
  const reordered = { variables: [{ value: 'v', key: 'K' }], name: 'A', description: undefined };
  expect(fingerprintOf('key', reordered)).toBe(fingerprintOf('key', input));
});

it.each([
  ['another value', 'key', { name: 'B' }],
  ['a list in another order', 'key', { name: ['b', 'a'] }],
  ['the same input under another key', 'other', { name: ['a', 'b'] }],
])('and differs for %s', (_what, key, input) => {
  expect(fingerprintOf(key, input)).not.toBe(fingerprintOf('key', { name: ['a', 'b'] }));
});

it('a key is scoped by its method, and cannot run into another one', () => {
  expect(keyIdOf('projects.create', 'k')).not.toBe(keyIdOf('projects.delete', 'k'));
  expect(keyIdOf('a', 'b:c')).not.toBe(keyIdOf('a:b', 'c'));
  expect(keyIdOf('projects.create', 'secret-key')).toMatch(/^[0-9a-f]{64}$/);
});

it('every stream has its lane, and all lanes are used', () => {
  const lanes = new Set(Array.from({ length: 2_000 }, (_, n) => laneOf(`stream ${n}`)));
  expect(lanes.size).toBe(laneCount);
  expect(Math.min(...lanes)).toBe(0);
  expect(Math.max(...lanes)).toBe(laneCount - 1);
  expect(laneOf('stream 1')).toBe(laneOf('stream 1'));
});
