import process from 'node:process';
import { describe, expect, it } from 'vitest';

import { namespaceFor } from '../../src/deployments/namespace.ts';
import type { Namespace } from '../../src/deployments/namespace.ts';

type Triple = Parameters<typeof namespaceFor>[0];

/** RFC 1123, as Kubernetes reads it. */
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$/;
const labelKey = /^([a-z0-9.-]+\/)?[A-Za-z0-9][-A-Za-z0-9_.]{0,61}[A-Za-z0-9]$/;

function problems({ name, labels }: Namespace): readonly string[] {
  return [
    ...(label.test(name) ? [] : [`name ${name}`]),
    ...Object.entries(labels).flatMap(([key, value]) => [
      ...(labelKey.test(key) ? [] : [`key ${key}`]),
      ...(labelValue.test(value) ? [] : [`value ${value}`]),
    ]),
  ];
}

const triple = (project: string, repo: string, environment: string): Triple => ({ project, repo, environment });
const shared = 'x'.repeat(60);

/** Triples that a careless name would make alike, group by group. */
const lookalikes: Readonly<Record<string, readonly Triple[]>> = {
  'a separator inside a name': [
    triple('a-b', 'c', 'd'),
    triple('a', 'b-c', 'd'),
    triple('a', 'b', 'c-d'),
    triple('a-b-c', 'd', ''),
    triple('', 'a-b', 'c-d'),
  ],
  'another character that becomes a hyphen': ['-', '/', '_', '.', ' ', '--', '|', '\0', '\n', '🧪', '語'].map((by) =>
    triple(`a${by}b`, 'c', 'd'),
  ),
  'lengths in front': [
    triple('1:a', 'b', 'c'),
    triple('1', ':a', 'b1:c'),
    triple('a', '1:b', 'c'),
    triple('a1:b', '', 'c'),
  ],
  case: ['shop', 'Shop', 'SHOP', 'ſhop'].flatMap((project) => [triple(project, 'r', 'e'), triple('p', project, 'e')]),
  'an order': [
    triple('a', 'b', 'c'),
    triple('a', 'c', 'b'),
    triple('b', 'a', 'c'),
    triple('b', 'c', 'a'),
    triple('c', 'a', 'b'),
    triple('c', 'b', 'a'),
  ],
  'a shared beginning of 60 characters': [0, 1, 2].flatMap((place) =>
    ['', 'a', 'b', 'ab', '-a'].map((end) => {
      const parts = ['p', 'r', 'e'];
      parts[place] = shared + end;
      return triple(parts[0]!, parts[1]!, parts[2]!);
    }),
  ),
  'nothing that is readable': ['', '-', '--', '🧪', '🧪🧪', '語', 'ω', '.', '\u200b', ' '].map((project) =>
    triple(project, '', ''),
  ),
  'what is not well-formed': ['\ud800', '\udfff', '\ud800\ud800', '\ufffd', '\ufffd\ufffd'].map((repo) =>
    triple('p', repo, 'e'),
  ),
  'a form of Unicode': ['\u00e9', 'e\u0301', 'e', 'ﬁ', 'fi', '①', '1', 'İ', 'i', 'ß', 'ss'].map((environment) =>
    triple('p', 'r', environment),
  ),
  'ends that are cut off': ['', '-', '.', '_'].flatMap((end) => [
    triple(`${'y'.repeat(63)}${end}`, 'r', 'e'),
    triple('p', 'r', `${'y'.repeat(45)}${end}y`),
  ]),
};

/** How many random triples; each takes some 20 µs. */
const many = Number(process.env['VIVARIUM_TEST_NAMESPACES'] ?? 200_000);

describe('namespaceFor', () => {
  it('reads as the environment, the repository and the project, and ends in a hash of all three', () => {
    const { name, labels } = namespaceFor(triple('Shop', 'acme/web', 'pr-42'));
    expect(name).toMatch(/^pr-42-acme-web-shop-[a-z2-7]{16}$/);
    expect(labels).toEqual({
      'app.kubernetes.io/managed-by': 'vivarium',
      'vivarium.dev/project': 'Shop',
      'vivarium.dev/repo': 'acme-web',
      'vivarium.dev/environment': 'pr-42',
      'vivarium.dev/id': name.slice(-16),
    });
  });

  it('is the same for the same triple, in every version: what runs in a cluster has to be found again', () => {
    expect(namespaceFor(triple('Shop', 'acme/web', 'pr-42')).name).toBe('pr-42-acme-web-shop-2qaaskj6ylqwvbmd');
    expect(namespaceFor(triple('', '', '')).name).toBe('ns-mpflr2jb4qjsikse');
  });

  it.each(Object.entries(lookalikes))('differs where triples only differ by %s', (_what, triples) => {
    const made = triples.map(namespaceFor);
    expect(made.flatMap(problems)).toEqual([]);
    expect(new Set(made.map(({ name }) => name)).size).toBe(triples.length);
    expect(new Set(made.map(({ labels }) => labels['vivarium.dev/id'])).size).toBe(triples.length);
  });

  it('is a label of at most 63 characters for whatever it is given', () => {
    const texts = [
      '',
      '-',
      '🧪',
      'a',
      '9',
      '-a-',
      '_a',
      'a'.repeat(1_000),
      '語'.repeat(1_000),
      `${'-'.repeat(100)}a`,
      '\0',
    ];
    texts.push('A'.repeat(63), `${'a'.repeat(62)}-b`, `${'a'.repeat(45)}-b`, 'ﷺ'.repeat(100), '\u0301');
    const wrong = texts.flatMap((project) =>
      texts.flatMap((repo) =>
        texts.flatMap((environment) => problems(namespaceFor(triple(project, repo, environment)))),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('has no doubled hyphen where what is readable was cut at one', () => {
    for (let length = 40; length <= 63; length++) {
      const { name } = namespaceFor(triple('p', 'r', `${'y'.repeat(length)}/${'z'.repeat(20)}`));
      expect(name).toMatch(/^y+(-z+)?-[a-z2-7]{16}$/);
    }
  });

  it('does not collide, and is always valid, for many random triples', { timeout: 60_000 + many }, () => {
    const hashes = new Set<string>();
    const wrong: string[] = [];
    const random = numbers(20_260_101);
    const seen = new Set<string>();
    for (let made = 0; made < many;) {
      const one = triple(someName(random), someName(random), someName(random));
      const exactly = JSON.stringify(one);
      if (seen.has(exactly)) continue;
      seen.add(exactly);
      made++;
      const namespace = namespaceFor(one);
      // The hash by itself, which ends the name: what is readable is not what keeps names apart.
      const hash = namespace.labels['vivarium.dev/id']!;
      hashes.add(hash);
      if (problems(namespace).length > 0 || !namespace.name.endsWith(`-${hash}`)) wrong.push(exactly);
    }
    expect(wrong).toEqual([]);
    expect(hashes.size).toBe(many);
  });
});

/** Few letters, so that names are near one another: separators, case, and what is not ASCII. */
const letters = ['a', 'b', 'A', '-', '/', '_', '.', '1', 'é', '🧪'];

function someName(random: () => number): string {
  const length = random() % 4 === 0 ? 50 + (random() % 30) : 1 + (random() % 7);
  let name = '';
  for (let index = 0; index < length; index++) name += index < length - 7 ? 'x' : letters[random() % letters.length]!;
  return name;
}

/** Xorshift: the same numbers in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
