import { describe, expect, it } from 'vitest';

import { InvalidInput } from '../../src/index.ts';
import { checkAlternatives, checkOptions, hasMethods, may, must } from '../../src/storage/index.ts';
import { memoryStorage, MemoryTables } from '../../src/storage/memory/index.ts';

const isText = (value: unknown) => typeof value === 'string';
const known = {
  client: must(hasMethods('send'), 'must be a client'),
  name: may(isText, 'must be a text'),
};
const client = { send: () => undefined };

function issuesOf(check: () => void) {
  try {
    check();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(InvalidInput);
    return (thrown as InvalidInput).issues;
  }
  return [];
}

describe('the options of a factory', () => {
  it.each([
    ['what has to be there', { client }],
    ['everything', { client, name: 'x' }],
    ['undefined for what need not be there', { client, name: undefined }],
    ['a client that is a function', { client: Object.assign(() => undefined, client) }],
    ['methods that are inherited', { client: Object.create(client) as object }],
  ])('may be %s', (_what, options) => {
    expect(issuesOf(() => checkOptions(options, known))).toEqual([]);
  });

  const whole = [{ path: '', message: 'must be an object with client, name' }];
  const unknown = (path: string) => ({ path, message: 'is not an option; the options are client, name' });
  const noClient = { path: 'client', message: 'must be a client' };
  it.each([
    ['undefined', undefined, whole],
    ['null', null, whole],
    ['a text', 'secret', whole],
    ['a list', [client], whole],
    ['nothing in them', {}, [noClient]],
    ['null for what need not be there', { client, name: null }, [{ path: 'name', message: 'must be a text' }]],
    ['a misspelt option', { client, nmae: 'x' }, [unknown('nmae')]],
    ['an option that every object has', { client, toString: 'x' }, [unknown('toString')]],
    [
      'everything wrong',
      { client: {}, name: 7, nmae: 'x' },
      [unknown('nmae'), noClient, { path: 'name', message: 'must be a text' }],
    ],
    [
      'a getter that throws',
      Object.defineProperty({}, 'client', {
        enumerable: true,
        get: () => {
          throw new Error('secret');
        },
      }),
      [{ path: '', message: 'the options cannot be read' }],
    ],
  ])('are refused as %s, with all that is wrong and no value', (_what, options, issues) => {
    expect(issuesOf(() => checkOptions(options, known))).toEqual(issues);
  });

  const sources = {
    keys: may(isText, 'must be a text'),
    env: may(isText, 'must be a text'),
    file: may(isText, 'must be a text'),
  };
  const exactlyOne = [{ path: '', message: 'must be { keys }, { env } or { file }' }];
  it.each([
    ['one', { env: 'X' }, []],
    ['one, and another undefined', { env: 'X', file: undefined }, []],
    ['none', {}, exactlyOne],
    ['none but undefined', { env: undefined }, exactlyOne],
    ['two', { env: 'X', file: 'x' }, exactlyOne],
    ['no object', 'X', exactlyOne],
    ['a wrong one', { env: 7 }, [{ path: 'env', message: 'must be a text' }]],
    ['an unknown one', { url: 'X' }, [{ path: 'url', message: 'is not an option; the options are keys, env, file' }]],
  ])('of which there is to be one: %s', (_what, options, issues) => {
    expect(issuesOf(() => checkAlternatives(options, sources))).toEqual(issues);
  });
});

describe('memoryStorage', () => {
  it('takes nothing, or tables', () => {
    for (const options of [undefined, {}, { tables: undefined }, { tables: new MemoryTables() }]) {
      expect(memoryStorage(options).name).toBe('memory');
    }
  });

  it.each([
    ['null', null, ''],
    ['tables that are none', { tables: new Map() }, 'tables'],
    ['an option that there is not', { table: new MemoryTables() }, 'table'],
  ])('refuses %s', (_what, options, path) => {
    expect(issuesOf(() => memoryStorage(options as never))).toMatchObject([{ path }]);
  });
});
