import { describe, expect, test } from 'vitest';

import { isAlias, isNameOf } from '../../src/aws-kms/key-names.ts';

const arn = (id: string, { partition = 'aws', region = 'eu-west-1', account = '111122223333' } = {}) =>
  `arn:${partition}:kms:${region}:${account}:key/${id}`;

describe('the names of KMS keys', () => {
  test.each([
    ['its ARN', arn('0b2c'), true],
    ['its id', '0b2c', true],
    ['the end of its id', '2c', false],
    ['another id', '0b2d', false],
    ['its ARN in another region', arn('0b2c', { region: 'us-east-1' }), false],
    ['its ARN in another account', arn('0b2c', { account: '999999999999' }), false],
    ['an alias', 'alias/0b2c', false],
  ])('a key is named by %s: %s → %s', (_, name, expected) => {
    expect(isNameOf(name, arn('0b2c'))).toBe(expected);
  });

  test.each([
    ['its replica in another region', arn('mrk-1', { region: 'us-east-1' }), true],
    ['its id', 'mrk-1', true],
    ['a replica of another account', arn('mrk-1', { account: '999999999999' }), false],
    ['a replica in another partition', arn('mrk-1', { partition: 'aws-cn', region: 'cn-north-1' }), false],
    ['another multi-Region key', arn('mrk-2'), false],
  ])('a multi-Region key is named by %s: %s → %s', (_, name, expected) => {
    expect(isNameOf(name, arn('mrk-1'))).toBe(expected);
  });

  test.each([
    ['alias/vivarium', true],
    ['arn:aws:kms:eu-west-1:111122223333:alias/vivarium', true],
    [arn('0b2c'), false],
    ['0b2c', false],
  ])('%s is an alias: %s', (name, expected) => {
    expect(isAlias(name)).toBe(expected);
  });
});
