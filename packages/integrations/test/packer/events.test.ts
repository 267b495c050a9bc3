import { describe, expect, test } from 'vitest';

import { readPackerLine } from '../../src/packer/index.ts';
import { linesOf } from '../../src/packer/lines.ts';

const at = new Date(1_795_264_991_000);

describe('a line of machine-readable output', () => {
  test.each([
    [
      'a message, with its commas and line breaks back',
      String.raw`1795264991,,ui,message,    base: Grüße%!(PACKER_COMMA) 環境\nnext`,
      { at, target: null, type: 'message', level: 'message', text: '    base: Grüße, 環境\nnext' },
    ],
    [
      'a message of newer versions, with its builder',
      '1795264991,amazon-ebs.base,ui,say,==> amazon-ebs.base: Stopping',
      { at, target: 'amazon-ebs.base', type: 'message', level: 'say', text: '==> amazon-ebs.base: Stopping' },
    ],
    [
      'a message with commas that nobody escaped',
      '1795264991,,ui,say,one,two',
      { at, target: null, type: 'message', level: 'say', text: 'one,two' },
    ],
    [
      'colours',
      '1795264991,,ui,error,\u001B[1;31mred\u001B[0m',
      { at, target: null, type: 'message', level: 'error', text: 'red' },
    ],
    [
      'an error',
      '1795264991,base,error,Script exited',
      { at, target: 'base', type: 'error', message: 'Script exited' },
    ],
    ['a count of errors', '1795264991,,error-count,2', { at, target: null, type: 'error-count', count: 2 }],
    [
      'a part of an artifact',
      '1795264991,base,artifact,0,file,1,out/disk.img',
      { at, target: 'base', type: 'artifact', index: 0, part: 'file', values: ['1', 'out/disk.img'] },
    ],
    [
      'anything else of the format',
      '1795264991,,version,1.11.2',
      { at, target: null, type: 'other', name: 'version', data: ['1.11.2'] },
    ],
    ['a log line in between', '2026/11/21 12:43:11 [INFO] Packer version: 1.11.2', null],
    ['an empty line', '', null],
    ['a line without a type', '1795264991,', null],
  ])('%s', (_what, line, event) => {
    expect(readPackerLine(line)).toEqual(event);
  });
});

describe('lines', () => {
  const text = '1,,ui,say,Grüße\r\n2,,ui,say,環境\nthe last one has no end: 🦔';
  const expected = ['1,,ui,say,Grüße', '2,,ui,say,環境', 'the last one has no end: 🦔'];

  test('are the same wherever the bytes are cut', async () => {
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const chunks = [bytes.subarray(0, cut), bytes.subarray(cut)];
      expect(await all(linesOf(stream(chunks)))).toEqual(expected);
    }
  });

  test('may come as text, and are cut where they are longer than anybody writes', async () => {
    expect(await all(linesOf(stream([text.slice(0, 7), text.slice(7)])))).toEqual(expected);
    const [long] = await all(linesOf(stream(Array.from({ length: 40 }, () => 'x'.repeat(10_000)))));
    expect(long).toHaveLength(65_536);
  });
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function* stream<T>(chunks: readonly T[]): AsyncGenerator<T> {
  yield* chunks;
}
