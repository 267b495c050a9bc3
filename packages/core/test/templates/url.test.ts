import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/templates/index.ts';
import { outcome, refused, rendered } from './rendering.ts';

const url = (source: string, values: Record<string, string> = {}, missing?: 'keep' | 'empty') =>
  outcome(source, values, { context: 'url', missing });

describe('a slot in a path, query or fragment', () => {
  it.each([
    ['a space', 'a b', 'a%20b'],
    ['slashes', 'a/b', 'a%2Fb'],
    ['a backslash', 'a\\b', 'a%5Cb'],
    ['query characters', '?a=b&c#d', '%3Fa%3Db%26c%23d'],
    ['a plus', '1+1', '1%2B1'],
    ['a percent sign', '100%', '100%25'],
    ['what is encoded already', '%2e%2e', '%252e%252e'],
    ['an at sign and a colon', '@evil:80', '%40evil%3A80'],
    ['unicode', 'ü😀', '%C3%BC%F0%9F%98%80'],
    ['tabs and line breaks', '.\t.\r\n', '.%09.%0D%0A'],
    ['nothing', '', ''],
    ['dots that are no dot segment', '...', '...'],
    ['what needs no encoding', "AZaz09-_.!~*'()", "AZaz09-_.!~*'()"],
  ])('is percent-encoded: %s', (_, value, encoded) => {
    const variables = { BASE: 'https://h', X: value };
    expect(url('https://h/a/{{X}}', variables)).toBe(`https://h/a/${encoded}`);
    expect(url('{{BASE}}/a/{{X}}/b', variables)).toBe(`https://h/a/${encoded}/b`);
    expect(url('https://h/?q={{X}}', variables)).toBe(`https://h/?q=${encoded}`);
    expect(url('https://h/#{{X}}', variables)).toBe(`https://h/#${encoded}`);
    expect(url('/a/{{X}}', variables)).toBe(`/a/${encoded}`);
  });

  it('is left as it is when raw, as long as the URL keeps its shape', () => {
    expect(url('https://h/{{X|raw}}/z', { X: 'a/b%20c;ü' })).toBe('https://h/a/b%20c;ü/z');
    expect(url('https://h/x?{{X|raw}}', { X: 'a=1&b=2' })).toBe('https://h/x?a=1&b=2');
    expect(url('https://h{{X|raw}}', { X: '/a/b' })).toBe('https://h/a/b');
    expect(url('{{B}}{{X|raw}}', { B: 'https://h', X: '?a=1' })).toBe('https://h?a=1');
  });
});

describe('a dot segment that a value takes part in', () => {
  it.each([
    ['alone', 'https://h/{{X}}', '..'],
    ['alone, one dot', 'https://h/{{X}}/', '.'],
    ['in the middle', 'https://h/a/{{X}}/b', '..'],
    ['before the query', 'https://h/a/{{X}}?q', '..'],
    ['before the fragment', 'https://h/a/{{X}}#f', '..'],
    ['put together with text before', 'https://h/.{{X}}/', '.'],
    ['put together with text after', 'https://h/{{X}}./', '.'],
    ['put together from two values', 'https://h/{{X}}{{X}}', '.'],
    ['of text, next to an empty value', 'https://h/..{{X}}', ''],
    ['with an encoded dot in the text', 'https://h/%2e{{X}}', '.'],
    ['with a percent sign in the text', 'https://h/.%2{{X}}/', 'e'],
    ['with half an encoded dot on each side', 'https://h/%{{X}}', '2e'],
    ['raw', 'https://h/{{X|raw}}', '..'],
    ['raw and encoded', 'https://h/{{X|raw}}', '%2E%2e'],
    ['raw, further in', 'https://h/{{X|raw}}', 'a/../../b'],
    ['raw, at the end', 'https://h/{{X|raw}}', 'a/..'],
    ['raw, at the end before text', 'https://h/{{X|raw}}/x', 'a/..'],
    ['raw, before a query of its own', 'https://h/{{X|raw}}', '..?a'],
    ['raw, ended by text', 'https://h/{{X|raw}}.', 'a/.'],
    ['in a relative URL', 'a/{{X}}', '..'],
    ['at the start of a relative URL', '.{{X}}/a', '.'],
    ['in a relative URL that begins with a slash', '/{{X}}/a', '..'],
    ['as a default', 'https://h/{{Z:-..}}', ''],
  ])('is refused: %s', (_, source, value) => {
    expect(url(source, { X: value })).toBe('refused: url_dot_segment');
  });

  it('is refused at the end of a base, too', () => {
    expect(url('{{B}}..', { B: 'https://h/a/' })).toBe('refused: url_dot_segment');
    expect(url('{{B}}{{X}}', { B: 'https://h/a/.', X: '.' })).toBe('refused: url_base');
    expect(url('{{B}}{{X}}', { B: 'https://h/a/', X: '..' })).toBe('refused: url_dot_segment');
  });

  it.each([
    ['of text alone: that is what the template says', 'https://h/a/../{{X}}', 'x', 'https://h/a/../x'],
    ['in a query', 'https://h/?a=/{{X}}/', '..', 'https://h/?a=/../'],
    ['in a fragment', 'https://h/#/{{X}}', '..', 'https://h/#/..'],
    ['with more around it', 'https://h/v{{X}}', '..', 'https://h/v..'],
  ])('is no dot segment: %s', (_, source, value, text) => {
    expect(url(source, { X: value })).toBe(text);
  });

  it('names the value that completed it', () => {
    const error = refused('https://h/{{A}}/{{B}}/c/{{C}}', { A: 'a', B: '..', C: 'c' }, { context: 'url' });
    expect(error).toMatchObject({
      code: 'unsafe_value',
      key: 'B',
      offset: 16,
      context: 'url',
      reason: 'url_dot_segment',
    });
  });
});

describe('a leading slot', () => {
  it.each([
    ['http://localhost:3000'],
    ['https://api.example.com'],
    ['HTTPS://API.example.com/'],
    ['https://api.example.com/v2/ünicode/a%20b'],
    ['https://example.com/@scope/pkg:1'],
    ['https://münchen.example'],
    ['http://[::1]:8080/x'],
    ['http://127.0.0.1'],
  ])('is an http or https URL: %s', (base) => {
    expect(url('{{BASE}}/users/{{id}}', { BASE: base, id: 'a/b' })).toBe(`${base}/users/a%2Fb`);
    expect(url('{{BASE}}', { BASE: base })).toBe(base);
    expect(url('{{BASE}}?q={{id}}', { BASE: base, id: '&' })).toBe(`${base}?q=%26`);
    expect(url('{{BASE|raw}}/x', { BASE: base })).toBe(`${base}/x`);
  });

  it.each([
    ['nothing', ''],
    ['a host alone', 'api.example.com'],
    ['a path', '/v2'],
    ['another scheme', 'ftp://example.com'],
    ['a script', 'javascript:alert(1)//'],
    ['a file', 'file:///etc/passwd'],
    ['no scheme', '//example.com'],
    ['no slashes', 'https:example.com'],
    ['one slash', 'https:/example.com'],
    ['three slashes', 'https:///example.com'],
    ['backslashes', 'https:\\\\example.com'],
    ['a backslash before the path', 'https://example.com\\evil'],
    ['a backslash hidden in a user name', 'https://evil.com\\@example.com'],
    ['a user name', 'https://user@example.com'],
    ['a password', 'https://user:pass@example.com/v2'],
    ['an empty user name', 'https://@example.com'],
    ['a query', 'https://example.com/?a=1'],
    ['a fragment', 'https://example.com/#a'],
    ['an empty query', 'https://example.com?'],
    ['a dot segment', 'https://example.com/a/../b'],
    ['a dot segment at the end', 'https://example.com/a/..'],
    ['an encoded dot segment', 'https://example.com/%2E./b'],
    ['a tab in a dot segment', 'https://example.com/.\t./b'],
    ['a line break', 'https://exam\nple.com'],
    ['a space in front', ' https://example.com'],
    ['a space at the end', 'https://example.com/a '],
    ['a space in the host', 'https://exam ple.com'],
    ['an encoded host', 'https://ex%61mple.com'],
    ['no host', 'https://'],
    ['a port alone', 'https://:80'],
    ['a port that is none', 'https://example.com:99999'],
    ['a slot', '{{BASE}}'],
    ['NUL', 'https://example.com/\0'],
  ])('is refused otherwise: %s', (_, base) => {
    for (const source of ['{{BASE}}/users', '{{BASE}}', '{{BASE|raw}}/users', '{{BASE}}:8080/', '{{BASE}}x']) {
      expect(url(source, { BASE: base })).toBe('refused: url_base');
    }
  });

  it.each([
    ['https://api.example.com', '{{B}}users', 'refused: url_authority'],
    ['https://api.example.com', '{{B}}.evil.com/', 'refused: url_authority'],
    ['https://api.example.com', '{{B}}@evil.com/', 'refused: url_authority'],
    ['https://api.example.com', '{{B}}{{X}}', 'refused: url_authority'],
    ['https://api.example.com', '{{B}}{{X|raw}}', 'refused: url_authority'],
    ['https://api.example.com', '{{B}}:8080/x', 'https://api.example.com:8080/x'],
    ['https://api.example.com', '{{B}}:{{PORT}}/x', 'https://api.example.com:8443/x'],
    ['https://api.example.com', '{{B}}:{{X}}/x', 'refused: url_authority'],
    ['https://api.example.com', '{{B}}:80{{X}}/x', 'refused: url_authority'],
    ['https://api.example.com:80', '{{B}}:8080/x', 'refused: url_authority'],
    ['https://api.example.com:80', '{{B}}80/x', 'refused: url_authority'],
    ['https://api.example.com:80', '{{B}}{{PORT}}/x', 'refused: url_authority'],
    ['https://api.example.com/v2', '{{B}}users', 'https://api.example.com/v2users'],
    ['https://api.example.com/v2/', '{{B}}{{X}}', 'https://api.example.com/v2/.evil.com'],
    ['http://[::1]', '{{B}}:8080/', 'http://[::1]:8080/'],
    ['http://[::1]', '{{B}}1/', 'refused: url_authority'],
  ])('is not continued by what follows it: %s in %s', (base, source, expected) => {
    expect(url(source, { B: base, X: '.evil.com', PORT: '8443' })).toBe(expected);
  });
});

describe('a slot for the scheme', () => {
  it.each([
    ['http', 'http://h/'],
    ['HTTPS', 'HTTPS://h/'],
    ['javascript', 'refused: url_scheme'],
    ['https:', 'refused: url_scheme'],
    ['http://evil.com/?', 'refused: url_scheme'],
    ['', 'refused: url_scheme'],
  ])('is http or https: %s', (scheme, expected) => {
    expect(url('{{S}}://h/', { S: scheme })).toBe(expected);
    expect(url('{{S}}://{{H}}/', { S: scheme, H: 'h' })).toBe(expected);
  });
});

describe('a slot in the authority', () => {
  it.each([
    ['https://{{X}}/a', 'example.com', 'https://example.com/a'],
    ['https://{{X}}', 'example.com:8080', 'https://example.com:8080'],
    ['https://{{X}}?q', 'localhost', 'https://localhost?q'],
    ['https://{{X}}/', '127.0.0.1', 'https://127.0.0.1/'],
    ['https://{{X}}/', '[::1]', 'https://[::1]/'],
    ['https://{{X}}/', '[2001:db8::1]:443', 'https://[2001:db8::1]:443/'],
    ['https://[{{X}}]/', '::1', 'https://[::1]/'],
    ['https://{{X}}:8080/', '[::1]', 'https://[::1]:8080/'],
    ['https://{{X}}/', 'my_service-1', 'https://my_service-1/'],
    ['https://{{X}}/', 'münchen.de', 'https://xn--mnchen-3ya.de/'],
    ['https://{{X}}.example.com/', 'eu', 'https://eu.example.com/'],
    ['https://api-{{X}}.example.com/', 'eu', 'https://api-eu.example.com/'],
    ['https://api.{{X}}/', 'example.com', 'https://api.example.com/'],
    ['https://api.{{X}}:8443/', 'example.com', 'https://api.example.com:8443/'],
    ['http://node{{X}}:8080/', '7', 'http://node7:8080/'],
    ['http://10.0.0.{{X}}/', '7', 'http://10.0.0.7/'],
    ['https://example.com:{{X}}/', '8080', 'https://example.com:8080/'],
    ['https://example.com:80{{X}}/', '80', 'https://example.com:8080/'],
    ['https://user:pass@{{X}}/', 'example.com', 'https://user:pass@example.com/'],
    ['//{{X}}/a', 'example.com', '//example.com/a'],
    ['wss://{{X}}/socket', 'example.com', 'wss://example.com/socket'],
    ['https://{{X|raw}}/', 'example.com', 'https://example.com/'],
  ])('is host or host:port: %s with %s', (source, value, expected) => {
    expect(url(source, { X: value })).toBe(expected);
  });

  it.each([
    ['https://{{X}}/', ''],
    ['https://{{X}}/', 'evil.com/'],
    ['https://{{X}}/', 'evil.com\\'],
    ['https://{{X}}/', 'evil.com?'],
    ['https://{{X}}/', 'evil.com#'],
    ['https://{{X}}/', 'user@evil.com'],
    ['https://{{X}}/', 'user:pass@evil.com'],
    ['https://{{X}}/', '/evil.com'],
    ['https://{{X}}/', 'evil.com:'],
    ['https://{{X}}/', 'evil.com:99999'],
    ['https://{{X}}/', 'evil.com:8a'],
    ['https://{{X}}/', 'e%76il.com'],
    ['https://{{X}}/', 'evil.com%2f'],
    ['https://{{X}}/', 'evil\t.com'],
    ['https://{{X}}/', 'evil com'],
    ['https://{{X}}/', '.evil.com'],
    ['https://{{X}}/', 'evil..com'],
    ['https://{{X}}/', '[::1'],
    ['https://{{X}}/', '[evil.com]'],
    ['https://{{X}}/', '::1'],
    ['https://{{X}}/', 'a／b'],
    ['https://{{X}}/', '999.1.1.1.1.256'],
    ['https://{{X|raw}}/', '@evil.com'],
    ['https://{{X|raw}}/', '/evil.com'],
    ['https://{{X}}.example.com/', 'evil.com/'],
    ['https://{{X}}.example.com/', 'evil.com:80'],
    ['https://{{X}}.example.com/', '[::1]'],
    ['https://example.com{{X}}/', '.evil.com'],
    ['https://example.com{{X}}/', '@evil.com'],
    ['https://example.com{{X}}/', ':80@evil.com'],
    ['https://example.com{{X}}/', 'pany'],
    ['https://example.co{{X}}', 'm'],
    ['https://example.co{{X}}:443/', 'm'],
    ['https://example.co{{X}}/', 'mpany.org'],
    ['https://node{{X}}/', '.evil.com'],
    ['https://node{{X}}/', 'x.evil.com'],
    ['https://node{{X}}/', 'x。evil'],
    ['https://api-{{X}}.example.com/', 'ü'],
    ['https://a.{{X}}b/', ''],
    ['http://10.0.0.{{X}}/', 'evil.com'],
    ['http://10.0.0.{{X}}/', '256'],
    ['https://example.com:{{X}}/', '80@evil.com'],
    ['https://example.com:{{X}}/', '80.evil.com'],
    ['https://example.com:{{X}}/', ''],
    ['https://example.com:{{X}}/', '99999'],
    ['https://example.com:{{X}}@evil.com/', '80'],
    ['https://{{X}}@example.com/', 'user'],
    ['https://{{X}}:secret@example.com/', 'user'],
    ['https://user:{{X}}@example.com/', 'secret'],
    ['https://user:{{X}}@example.com/', '123'],
    ['https://[{{X}}]/', '::1]@evil.com'],
    ['https://[{{X}}]/', 'evil'],
    ['//{{X}}/', 'evil.com/'],
  ])('is refused otherwise: %s with %j', (source, value) => {
    expect(url(source, { X: value })).toBe('refused: url_authority');
  });

  it('reads look-alikes of the dot as the URL parser does', () => {
    expect(url('https://{{X}}/', { X: 'evil。com' })).toBe('https://evil.com/');
    expect(url('https://api.{{X}}/', { X: 'ｅxample．com' })).toBe('https://api.example.com/');
  });

  it('is refused when two values make a domain that neither of them is', () => {
    expect(url('https://{{A}}{{B}}/', { A: 'api.example.com', B: 'pany.evil.com' })).toBe('refused: url_authority');
    expect(url('https://{{A}}{{B}}/', { A: 'node', B: '7' })).toBe('https://node7/');
  });
});

describe('a relative URL', () => {
  it.each([
    ['/users/{{X}}', 'a', '/users/a'],
    ['users/{{X}}', 'a:b', 'users/a%3Ab'],
    ['?q={{X}}', '?', '?q=%3F'],
    ['#{{X}}', '#', '#%23'],
    ['./{{X}}', 'a', './a'],
    ['/{{X}}/b', 'a', '/a/b'],
  ])('keeps being one: %s with %s', (source, value, expected) => {
    expect(url(source, { X: value })).toBe(expected);
  });

  it.each([
    ['/{{X}}/evil.com', ''],
    ['/{{X|raw}}', '/evil.com'],
    ['a{{X|raw}}', ':b'],
    ['javascript{{X|raw}}', ':alert(1)'],
    ['a{{X}}:b', 'c'],
  ])('is refused when a value would make it name a host or scheme: %s with %j', (source, value) => {
    expect(url(source, { X: value })).toBe('refused: url_reference');
  });
});

describe('a raw value', () => {
  it.each([['\t'], ['\n'], ['\r'], ['\0'], ['\x7f'], [' '], ['\\']])(
    'with %j is refused: the URL parser would read something else',
    (character) => {
      expect(url('https://h/{{X|raw}}', { X: `a${character}b` })).toBe('refused: url_character');
      // "/.. " at the end of a URL is "/..".
      expect(url('https://h/{{X|raw}}', { X: `..${character}` })).toBe('refused: url_character');
      expect(url('https://h/?{{X|raw}}', { X: character })).toBe('refused: url_character');
    },
  );
});

describe('a template whose own text is no URL', () => {
  it.each([
    ['javascript:alert("{{X}}")'],
    ['mailto:{{X}}'],
    ['file:///{{X}}'],
    ['localhost:3000/{{X}}'],
    ['https:{{X}}'],
    ['https:/{{X}}'],
    ['https:///{{X}}'],
    ['https://'],
    ['///{{X}}'],
    ['{{X}}:///a'],
    ['https://exa mple.com/{{X}}'],
    ['https://example.com:99999/{{X}}'],
    ['https:\\\\example.com/{{X}}'],
    ['https://h/\n{{X}}'],
    [' https://h/{{X}}'],
    ['https://h/{{X}} '],
  ])('is invalid_input: %j', (source) => {
    expect(compile(source, { context: 'url' })._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path: 'source' }],
    });
  });
});

describe('a missing variable in a URL', () => {
  it('is kept as it is written, wherever it stands', () => {
    for (const source of [
      '{{X}}/a',
      '{{X}}a',
      'https://{{X}}/a',
      'https://h:{{X}}/',
      'https://h/{{X}}',
      'https://h/a{{X|raw}}',
      '/{{X}}',
      '{{X}}://h/',
    ]) {
      expect(url(source, {}, 'keep')).toBe(source);
    }
  });

  it('can be empty in a path, and is refused where that is no URL', () => {
    expect(url('https://h/{{X}}/b', {}, 'empty')).toBe('https://h//b');
    expect(url('{{X}}/b', {}, 'empty')).toBe('refused: url_base');
    expect(url('https://{{X}}/b', {}, 'empty')).toBe('refused: url_authority');
  });
});

/** What might break out: the characters with a meaning in URLs, and pieces of attacks. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '\\',
        '.',
        '..',
        '@',
        ':',
        '?',
        '#',
        '%',
        '%2e',
        '%2F',
        '&',
        '=',
        '+',
        ';',
        '[',
        ']',
        '//',
        '://',
        ' ',
        '\t',
        '\n',
        '\r',
        '\0',
      ),
      fc.constantFrom(
        'evil.com',
        'https://evil.com',
        'javascript:',
        'a',
        'e',
        '2',
        '80',
        '。',
        '／',
        'ü',
        '😀',
        '{{X}}',
        '|',
        '<',
        '^',
        "'",
        '"',
        '`',
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));

describe('whatever the values are', () => {
  it('a URL has the host, path and parameters that its template describes', () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, hostile, (a, b, c, d) => {
        const result = url('https://api.example.com/v1/{{A}}/x/pre-{{B}}?q={{C}}&r=1#{{D}}', {
          A: a,
          B: b,
          C: c,
          D: d,
        });
        expect(result === 'refused: url_dot_segment').toBe(a === '.' || a === '..');
        if (result.startsWith('refused: ')) return;
        const parsed = new URL(result);
        expect(parsed.origin).toBe('https://api.example.com');
        expect(parsed.username + parsed.password + parsed.port).toBe('');
        expect(parsed.pathname.split('/').map(decodeURIComponent)).toEqual(['', 'v1', a, 'x', `pre-${b}`]);
        expect([...parsed.searchParams]).toEqual([
          ['q', c],
          ['r', '1'],
        ]);
        expect(decodeURIComponent(parsed.hash)).toBe(d === '' ? '' : `#${d}`);
      }),
      { numRuns: 2000 },
    );
  });

  it('a URL either keeps the host of its base and stays below its path, or is refused', () => {
    fc.assert(
      fc.property(
        hostile,
        hostile,
        fc.constantFrom(
          '{{B}}{{X}}',
          '{{B}}{{X|raw}}',
          '{{B}}/{{X|raw}}',
          '{{B}}/a{{X|raw}}/{{Y}}',
          '{{B}}/{{X|raw}}{{Y|raw}}',
          '{{B}}{{X}}{{Y|raw}}',
          '{{B}}:{{X}}/{{Y}}',
          '{{B}}:80{{X}}',
          '{{B}}/.{{X}}{{Y}}',
          '{{B}}/%{{X|raw}}{{Y|raw}}',
          '{{B}}?{{X|raw}}',
          '{{B}}#{{X|raw}}',
        ),
        fc.constantFrom('https://api.example.com', 'https://api.example.com/v1', 'https://api.example.com/v1/'),
        (x, y, source, base) => {
          const result = url(source, { B: base, X: x, Y: y });
          if (result.startsWith('refused: ')) return;
          const parsed = new URL(result);
          expect(parsed.hostname).toBe('api.example.com');
          expect(parsed.protocol).toBe('https:');
          expect(parsed.username + parsed.password).toBe('');
          expect(parsed.pathname.startsWith(new URL(base).pathname)).toBe(true);
          expect(result.split(/[?#]/)[0]).not.toMatch(/\/(?:\.|%2e){1,2}(?:\/|$)/i);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('a URL either ends in the domain that its text names, or is refused', () => {
    fc.assert(
      fc.property(
        hostile,
        hostile,
        fc.constantFrom(
          'https://{{X}}.example.com/{{Y}}',
          'https://a{{X}}.example.com',
          'https://{{X}}{{Y}}.example.com:80/',
          'https://{{X}}.example.com:{{Y}}/',
          'https://x.{{X}}-{{Y}}.example.com?a',
        ),
        (x, y, source) => {
          const result = url(source, { X: x, Y: y });
          if (result.startsWith('refused: ')) return;
          expect(new URL(result).hostname).toMatch(/\.example\.com$/);
          expect(new URL(result).username).toBe('');
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('a URL either keeps the host that its text begins with, or is refused', () => {
    fc.assert(
      fc.property(
        hostile,
        hostile,
        fc.constantFrom(
          'https://example.com{{X}}',
          'https://example.com{{X|raw}}{{Y}}',
          'https://example.com:{{X}}{{Y|raw}}',
          'https://example.com{{X|raw}}/{{Y}}',
        ),
        (x, y, source) => {
          const result = url(source, { X: x, Y: y });
          if (!result.startsWith('refused: ')) expect(new URL(result).hostname).toBe('example.com');
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('a URL from slots alone parses, or is refused', () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (a, b, c) => {
        const result = url('{{A}}{{B}}/{{C}}', { A: `https://${a}`, B: b, C: c });
        if (!result.startsWith('refused: ')) expect(new URL(result).username).toBe('');
      }),
      { numRuns: 5000 },
    );
  });

  it('a relative URL stays on the host it is resolved against', () => {
    fc.assert(
      fc.property(
        hostile,
        hostile,
        fc.constantFrom(
          '/{{X}}/{{Y}}',
          'a{{X|raw}}{{Y}}',
          '/{{X|raw}}{{Y|raw}}',
          '?{{X|raw}}',
          './{{X|raw}}',
          'a{{X}}/{{Y|raw}}',
        ),
        (x, y, source) => {
          const result = url(source, { X: x, Y: y });
          if (!result.startsWith('refused: '))
            expect(new URL(result, 'https://api.example.com/v1/').origin).toBe('https://api.example.com');
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('both ways of assembling a URL agree', () => {
    // A raw slot in the fragment makes the template a careful one, and changes nothing else.
    fc.assert(
      fc.property(
        hostile,
        hostile,
        fc.constantFrom('https://h.com/{{A}}/b{{B}}', '{{C}}/{{A}}?{{B}}', '/x/{{A}}{{B}}z'),
        (a, b, source) => {
          const variables = { A: a, B: b, C: 'https://h.com/v1' };
          const careful = url(`${source}#{{RAW|raw}}`, { ...variables, RAW: '' });
          expect(careful).toBe(url(`${source}#`, variables));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

it('messages name the key and never hold the value', () => {
  const error = refused('https://{{HOST}}/', { HOST: 'hunter2@evil' }, { context: 'url' });
  expect(error.message).toContain('"HOST"');
  expect(JSON.stringify(error) + error.message + error.stack).not.toContain('hunter2');
  expect(rendered('https://h/{{HOST}}', { HOST: 'hunter2@evil' }, { context: 'url' })).toContain('hunter2');
});
