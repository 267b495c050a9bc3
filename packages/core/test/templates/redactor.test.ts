import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor, InvalidInput, SecretText } from '../../src/templates/index.ts';
import { encodedForms } from '../../src/templates/redactor/encoded-forms.ts';

type Chunk = string | Uint8Array;

async function streamed(secrets: readonly string[], chunks: readonly Chunk[]): Promise<string> {
  const source = new ReadableStream<Chunk>({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  return collected(source.pipeThrough(createRedactor(secrets).stream()));
}

async function collected(stream: ReadableStream<string>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

/** What should come out, found the slow and obvious way: every place of every form, one by one. */
function expected(secrets: readonly string[], text: string): string {
  const hidden = new Array<boolean>(text.length).fill(false);
  const joined = new Array<boolean>(text.length).fill(false);
  for (const form of new Set(secrets.flatMap(encodedForms))) {
    for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + 1))
      hidden.fill(true, at, at + form.length);
  }
  return text.replace(/[^]/g, (character, at: number) => {
    if (!hidden[at]) return character;
    joined[at] = true;
    return at > 0 && joined[at - 1] ? '' : '***';
  });
}

const secret = 'p@ss/w"ör d+1!';
const pem = '-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\r\n-----END KEY-----\n';

describe('a redactor masks a secret', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64');

  it.each([
    ['as it is', `user=${secret};`, 'user=***;'],
    ['in base64', `Basic ${base64(secret)}`, 'Basic ***'],
    ['as JSON', JSON.stringify({ password: secret }), '{"password":"***"}'],
    ['as JSON with slashes escaped', `"${JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/')}"`, '"***"'],
    ['as JSON in ASCII', '"p@ss/w\\"\\u00f6r d+1!"', '"***"'],
    ['as JSON in ASCII, upper case', '"p@ss/w\\"\\u00F6r d+1!"', '"***"'],
    ['percent-encoded', `/x/${encodeURIComponent(secret)}?`, '/x/***?'],
    [
      'percent-encoded in lower case',
      `/x/${encodeURIComponent(secret).replace(/%../g, (escape) => escape.toLowerCase())}`,
      '/x/***',
    ],
    ['percent-encoded strictly', `/x/${encodeURIComponent(secret).replace('!', '%21')}`, '/x/***'],
    ['as a form', `a=1&${new URLSearchParams({ p: secret }).toString()}&b=2`, 'a=1&p=***&b=2'],
    ['in hexadecimal', `<${Buffer.from(secret).toString('hex')}>`, '<***>'],
    ['in hexadecimal, upper case', `<${Buffer.from(secret).toString('hex').toUpperCase()}>`, '<***>'],
    ['twice', `${secret} ${secret}`, '*** ***'],
    ['nowhere', 'nothing to see', 'nothing to see'],
  ])('%s', (_, text, masked) => {
    expect(createRedactor([secret]).text(text)).toBe(masked);
  });

  it('inside of a larger text in base64, at every alignment', () => {
    const long = 'correct horse battery staple';
    const redactor = createRedactor([long]);
    for (let before = 0; before < 6; before++) {
      for (let after = 0; after < 6; after++) {
        for (const encoding of ['base64', 'base64url'] as const) {
          const encoded = Buffer.from('x'.repeat(before) + long + 'y'.repeat(after)).toString(encoding);
          const masked = redactor.text(encoded);
          expect(masked).toContain('***');
          // What is left are the characters of the neighbours and those shared with them, at most one on either side.
          expect(masked.replace('***', '').length).toBeLessThanOrEqual(
            Math.ceil(before / 3) * 4 + Math.ceil(after / 3) * 4 + 4,
          );
          const visible = masked.split('***').map((part) => Buffer.from(part, encoding).toString());
          expect(visible.join()).not.toMatch(/corr|tapl|horse|battery/);
        }
      }
    }
  });

  it('in base64url, where that differs', () => {
    const bytes = '>>>???~~~ÿÿÿ';
    for (const encoding of ['base64', 'base64url'] as const) {
      expect(createRedactor([bytes]).text(`t=${Buffer.from(bytes).toString(encoding)}.`)).toBe('t=***.');
    }
  });

  it('line by line, without the spaces around', () => {
    const redactor = createRedactor([pem]);
    expect(redactor.text(pem)).toBe('***');
    expect(redactor.text('key: |\n    MIIEvQIBADANBg\n    kqhkiG9w0BAQEF\n')).toBe('key: |\n    ***\n    ***\n');
  });

  it('that is a SecretText', () => {
    expect(createRedactor([new SecretText('hunter2hunter2')]).text('x hunter2hunter2')).toBe('x ***');
  });

  it('with one mask where hits overlap or touch, of the same length whatever is behind it', () => {
    const redactor = createRedactor(['abcdefgh', 'efghijkl', 'defg', 'aaaaaaaa']);
    expect(redactor.text('<abcdefghijkl>')).toBe('<***>');
    expect(redactor.text('<abcdefghabcdefgh>')).toBe('<***>');
    expect(redactor.text('<defg>')).toBe('<***>');
    expect(redactor.text(`<${'a'.repeat(1000)}>`)).toBe('<***>');
    expect(redactor.text('abcdefg')).toBe('abc***');
  });

  it('not where it is shorter than 4 bytes, and with a warning where it is shorter than 8', () => {
    const redactor = createRedactor(['abc', 'abcd', 'abcdefgh', '€', '€€', '']);
    expect(redactor.text('abc abcd € €€')).toBe('abc *** € ***');
    expect(redactor.warnings.map(({ index }) => index)).toEqual([0, 1, 3, 4, 5]);
    expect(JSON.stringify(redactor.warnings)).not.toMatch(/abc|€/);
    // Its longer forms are looked for all the same.
    expect(redactor.text('616263')).toBe('***');
  });
});

describe('a redactor', () => {
  /** Few different characters, so that forms overlap, repeat and nearly match. */
  const dense = fc.string({
    unit: fc.constantFrom('a', 'b', 'A', '/', '%', 'é', '😀', '\n', '"', '='),
    minLength: 2,
    maxLength: 12,
  });
  const secrets = fc.array(dense, { minLength: 1, maxLength: 4 });
  const text = secrets.chain((list) =>
    fc
      .array(
        fc.oneof(
          fc.constantFrom(...list.flatMap((one) => (encodedForms(one).length > 0 ? encodedForms(one) : [one]))),
          dense,
        ),
        { maxLength: 10 },
      )
      .map((parts) => ({ list, text: parts.join('') })),
  );

  it('finds what looking for every form by itself finds', () => {
    fc.assert(
      fc.property(text, ({ list, text: whole }) => {
        expect(createRedactor(list).text(whole)).toBe(expected(list, whole));
      }),
      { numRuns: 2000 },
    );
  });

  it('finds the same where nothing can be skipped, and where long stretches can', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 20, maxLength: 60 }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.string({ maxLength: 100 }), { maxLength: 5 }),
        fc.nat(4),
        (list, parts, pick) => {
          const forms = encodedForms(list[pick % list.length]!);
          const whole = parts.map((part, index) => part + (forms[(index * 7) % forms.length] ?? '')).join('');
          expect(createRedactor(list).text(whole)).toBe(expected(list, whole));
          expect(createRedactor([...list, 'abcd']).text(whole)).toBe(expected([...list, 'abcd'], whole));
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    ['ASCII', ''],
    ['ASCII but for its beginning', 'é'],
    ['ASCII at first', `${'-'.repeat(5000)}😀`],
  ])('finds a secret wherever it stands in a long text, %s', (_, beginning) => {
    const long = 'correct-horse-battery-staple-of-37-b.';
    const short = 'hunter2!';
    const long64 = Buffer.from(long).toString('base64');
    // Not the secrets, but much that is in them.
    const filler = `${beginning}${'correct-horse-battery-staple-of-36-b. hunter2? hunter2. '.repeat(800)}`;
    for (const one of [long, short, long64]) {
      const redactor = createRedactor(one === short ? [short] : [long]);
      for (const border of [1024, 3072, 7168, 15_360, 31_744, filler.length]) {
        for (let at = border - one.length - 30; at <= Math.min(border + 30, filler.length); at++) {
          const [before, behind] = [filler.slice(0, at), filler.slice(at)];
          if (redactor.text(`${before}${one}${behind}`) !== `${before}***${behind}`) expect.fail(`${one} at ${at}`);
        }
      }
    }
  });

  it('gives the same for every one and two cuts of a stream as for the whole', async () => {
    const list = [secret, 'abcdabcdabcd', 'dabcd'];
    const whole = `x ${secret}abcdabcdabcdabcd abcdabc dabcd ${Buffer.from(secret).toString('base64')}`;
    const masked = createRedactor(list).text(whole);
    expect(masked).toBe(expected(list, whole));
    expect(masked).toContain('***');
    for (let first = 0; first <= whole.length; first++) {
      expect(await streamed(list, [whole.slice(0, first), whole.slice(first)])).toBe(masked);
      for (let second = first; second <= whole.length; second++) {
        const cut = [whole.slice(0, first), whole.slice(first, second), whole.slice(second)];
        expect(await streamed(list, cut)).toBe(masked);
      }
    }
  });

  it('gives the same however a stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(100), { maxLength: 12 }), async ({ list, text: whole }, places) => {
        const cuts = [0, ...places.filter((place) => place <= whole.length), whole.length].sort((a, b) => a - b);
        const chunks = cuts.slice(1).map((cut, index) => whole.slice(cuts[index], cut));
        expect(await streamed(list, chunks)).toBe(createRedactor(list).text(whole));
        expect(await streamed(list, [...whole])).toBe(createRedactor(list).text(whole));
      }),
      { numRuns: 300 },
    );
  });

  it('takes bytes as UTF-8, cut anywhere, and gives texts', async () => {
    const whole = `\ufeff€ ${secret} 😀 ${secret}`;
    const bytes = new TextEncoder().encode(whole);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(await streamed([secret], [bytes.slice(0, cut), bytes.slice(cut)])).toBe('\ufeff€ *** 😀 ***');
    }
    expect(await streamed([secret], [bytes.slice(0, 8), whole.slice(4)])).toContain('***');
  });

  it('passes everything through when there is nothing to hide', async () => {
    expect(createRedactor([]).text('hunter2')).toBe('hunter2');
    expect(await streamed([], ['a', new TextEncoder().encode('b')])).toBe('ab');
    expect(await streamed([secret], [])).toBe('');
  });

  it('gives out early what cannot be part of a secret', async () => {
    const stream = createRedactor(['abcdefghij']).stream();
    const writer = stream.writable.getWriter();
    const reader = stream.readable.getReader();
    const write = writer.write(`${'x'.repeat(1000)}abcde`);
    const { value } = await reader.read();
    await write;
    expect(value!.length).toBeGreaterThanOrEqual(985);
    expect('x'.repeat(1000).startsWith(value!)).toBe(true);
  });

  it('holds no more of a secret that goes on and on than it needs', async () => {
    const stream = createRedactor(['aaaaaaaa']).stream();
    const writer = stream.writable.getWriter();
    const result = collected(stream.readable);
    for (let chunk = 0; chunk < 2000; chunk++) await writer.write('a'.repeat(1000));
    await writer.close();
    expect(await result).toBe('***');
  });

  it.each([
    ['nearly the secret, again and again', `${'a'.repeat(60)}b`, `${'a'.repeat(59)}b`.repeat(20_000)],
    ['one character', `${'a'.repeat(60)}b`, 'a'.repeat(1_200_000)],
    ['the secret', 'abcdefghabcdefgh', 'abcdefgh'.repeat(150_000)],
    ['the end of the secret', 'xyzxyzxyzxyzxyzw', 'yzxyzxyzxyzxyzw'.repeat(80_000)],
    ['all but its first character', `x${'ab'.repeat(100)}`, 'ab'.repeat(600_000)],
  ])('takes time in proportion to the worst of texts: %s', (_, one, hostile) => {
    const redactor = createRedactor([
      one,
      ...Array.from({ length: 50 }, (__, index) => `${one.slice(0, 20)}${index}${one}`),
    ]);
    const start = performance.now();
    redactor.text(hostile);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it.each([
    [undefined],
    [null],
    ['secret'],
    [[7]],
    [[null]],
    [['\ud800']],
    [[new SecretText('\udfff')]],
    [{}],
    [['x'.repeat(262_145)]],
  ])('is not made of anything but a list of texts: case %#', (list) => {
    expect(() => createRedactor(list as never)).toThrow(InvalidInput);
  });

  it('makes a text of what is none', () => {
    const redactor = createRedactor(['[object Object]', 'hunter2hunter2']);
    expect(redactor.text(undefined as never)).toBe('undefined');
    expect(redactor.text({} as never)).toBe('***');
    expect(redactor.text({ toString: () => 'hunter2hunter2' } as never)).toBe('***');
    expect(redactor.text(Object.create(null) as never)).toBe('***');
  });

  it('does not show its secrets', () => {
    const redactor = createRedactor(['hunter2hunter2']);
    expect(inspect(redactor, { depth: 9, showHidden: true }) + JSON.stringify(redactor)).not.toContain('hunter2');
  });
});
