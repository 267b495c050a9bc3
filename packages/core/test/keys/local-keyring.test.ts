import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { InvalidInput, localKeyring } from '../../src/index.ts';
import type { KeyringSource } from '../../src/index.ts';

const one = `one:${Buffer.alloc(32, 1).toString('base64')}`;
const two = `two:${Buffer.alloc(32, 2).toString('base64')}`;
const context = { org: 'acme' };

describe('a local key ring', () => {
  it('gives a data key back for the same context, and for no other', async () => {
    const ring = localKeyring({ keys: one });
    const { plaintext, wrapped, wrappedBy } = await ring.generateDataKey({ context });
    expect(plaintext).toHaveLength(32);
    expect(wrappedBy).toBe('one');
    expect(await ring.unwrapDataKey({ wrapped, wrappedBy, context })).toEqual(plaintext);
    await expect(ring.unwrapDataKey({ wrapped, wrappedBy, context: { org: 'acme2' } })).rejects.toThrow();
    const changed = Buffer.from(wrapped);
    changed[20]! ^= 1;
    await expect(ring.unwrapDataKey({ wrapped: changed, wrappedBy, context })).rejects.toThrow();
  });

  it('rotates: the first key wraps, the others unwrap, rewrapping is done once', async () => {
    const before = await localKeyring({ keys: one }).generateDataKey({ context });
    const both = localKeyring({ keys: `${two}\n${one}` });
    const after = await both.rewrapDataKey({ ...before, context });
    expect(after?.wrappedBy).toBe('two');
    expect(await both.rewrapDataKey({ ...after!, context })).toBeNull();
    expect(await localKeyring({ keys: two }).unwrapDataKey({ ...after!, context })).toEqual(before.plaintext);
    await expect(localKeyring({ keys: two }).unwrapDataKey({ ...before, context })).rejects.toThrow('"one"');
  });

  const folder = mkdtempSync(join(tmpdir(), 'vivarium-keyring-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (mode: number) => {
    const path = join(folder, `keys-${mode.toString(8)}`);
    writeFileSync(path, `${one}\n`);
    chmodSync(path, mode);
    return path;
  };

  it('reads a file that nobody else may read, and an environment variable', async () => {
    process.env['VIVARIUM_TEST_KEYRING'] = two;
    expect((await localKeyring({ file: file(0o600) }).generateDataKey({ context })).wrappedBy).toBe('one');
    expect((await localKeyring({ file: file(0o400) }).generateDataKey({ context })).wrappedBy).toBe('one');
    expect((await localKeyring({ env: 'VIVARIUM_TEST_KEYRING' }).generateDataKey({ context })).wrappedBy).toBe('two');
    delete process.env['VIVARIUM_TEST_KEYRING'];
  });

  it.each([
    ['no key', 'keys', { keys: '  \n ' }],
    ['a key that is too short', 'keys', { keys: `a:${Buffer.alloc(31).toString('base64')}` }],
    ['a key without an id', 'keys', { keys: Buffer.alloc(32).toString('base64') }],
    ['two keys of one id', 'keys', { keys: `${one} ${one}` }],
    ['keys that are no text', 'keys', { keys: [one] }],
    ['a variable that is not set', 'env', { env: 'VIVARIUM_TEST_NO_SUCH_VARIABLE' }],
    ['a file that others may read', 'file', { file: file(0o640) }],
    ['a file that others may write', 'file', { file: file(0o602) }],
    ['a file that is not there', 'file', { file: join(folder, 'nowhere') }],
    ['a path that no file can have', 'file', { file: 'a\0b' }],
    ['a folder', 'file', { file: folder }],
    ['nothing', '', undefined],
    ['a source that names none', '', {}],
    ['the keys by themselves', '', one],
    ['two sources', '', { keys: one, env: 'HOME' }],
    ['a source that there is not', 'path', { path: file(0o600) }],
  ])('refuses %s, says where, and shows no key', (_what, path, source) => {
    let thrown: unknown;
    try {
      localKeyring(source as KeyringSource);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(InvalidInput);
    expect((thrown as InvalidInput).issues.map((issue) => issue.path)).toEqual([path]);
    expect(String(thrown)).not.toContain(Buffer.alloc(31).toString('base64').slice(0, 20));
  });
});
