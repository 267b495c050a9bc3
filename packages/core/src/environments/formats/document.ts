import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, Parser } from 'yaml';
import type { Document, ErrorCode } from 'yaml';

import type { InvalidInput } from '../../kernel/errors.ts';
import { err, ok } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';
import { invalid } from './issues.ts';
import type { Issues } from './issues.ts';

/**
 * One place in a JSON or YAML document. Scalars are kept as they are written, so that `no`, `1.10`, `0o7` and numbers of any size stay
 * what the person typed; children are looked at only when asked for, so that depth costs nothing.
 */
export type Place = { readonly line: number } & (
  | { readonly kind: 'text'; readonly text: string }
  /** A number, `true` or `false` that is written without quotes; of YAML's, only the two that cannot be anything else. */
  | { readonly kind: 'literal'; readonly text: string }
  /** `null`, or nothing at all. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'list'; readonly items: () => readonly Place[] }
  | { readonly kind: 'map'; readonly entries: () => readonly Entry[] }
  | { readonly kind: 'refused'; readonly reason: string }
);

export interface Entry {
  readonly key: Place;
  readonly value: Place;
}

/** Reads a YAML document. An empty one is `nothing`. */
export function readYamlDocument(text: string): Result<Place, InvalidInput> {
  const { root, mistake, lineAt } = parseAsYaml(text);
  if (!mistake) return ok(placeOf(root, lineAt, yamlScalar));
  return err(invalid('', `not valid YAML: ${yamlProblems[mistake.code] ?? 'not what may stand here'}`, mistake.line));
}

/**
 * Reads a JSON document. `JSON.parse` says whether it is one; the YAML parser, whose language holds all of JSON, then says what
 * `JSON.parse` forgets: lines, keys that are given twice, and how a number was written.
 */
export function readJsonDocument(text: string): Result<Place, InvalidInput> {
  const problem = jsonProblem(text);
  if (problem) return err(invalid('', problem.message, problem.line));
  const { root, mistake, lineAt } = parseAsYaml(text);
  if (!mistake) return ok(placeOf(root, lineAt, (node) => jsonScalar(text.slice(node.range?.[0], node.range?.[1]))));
  return err(invalid('', `cannot be read: ${yamlProblems[mistake.code] ?? 'an unusual form of JSON'}`, mistake.line));
}

/** The fields of a map by name. One that is given twice is an issue: which of the two was meant, nobody knows. */
export function fieldsOf(map: Place & { kind: 'map' }, path: string, issues: Issues): Map<string, Entry> {
  const fields = new Map<string, Entry>();
  for (const entry of map.entries()) {
    if (entry.key.kind !== 'text' && entry.key.kind !== 'literal') {
      issues.add(path, `${nameOf(entry.key)} cannot be a key`, entry.key.line);
      continue;
    }
    const earlier = fields.get(entry.key.text);
    if (earlier) issues.add(path, `the same key is given twice, first on line ${earlier.key.line}`, entry.key.line);
    else fields.set(entry.key.text, entry);
  }
  return fields;
}

/** What stands at a place, in words for a person. */
export function nameOf(place: Place): string {
  switch (place.kind) {
    case 'text':
      return 'a text';
    case 'literal':
      return 'a number, true or false';
    case 'nothing':
      return 'null (nothing)';
    case 'list':
      return 'a list';
    case 'map':
      return 'an object';
    case 'refused':
      return place.reason;
  }
}

type Node = Document.Parsed['contents'] | undefined;
type Scalar = {
  readonly value: unknown;
  readonly type?: string;
  readonly tag?: string;
  readonly range?: readonly [number, number, number] | null;
};
type ScalarReader = (
  node: Scalar,
) => { readonly kind: 'text' | 'literal'; readonly text: string } | { readonly kind: 'nothing' };
type LineAt = (offset: number) => number;

interface ParsedYaml {
  readonly root: unknown;
  readonly mistake: { readonly code: ErrorCode; readonly line: number } | null;
  readonly lineAt: LineAt;
}

/** Parses as far as the first mistake: a text that is no YAML at all can have one at every character. */
function parseAsYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  const lineAt: LineAt = (offset) => Math.max(1, lines.linePos(offset).line);
  const mistaken = (code: ErrorCode, offset: number): ParsedYaml => ({
    root: null,
    mistake: { code, line: lineAt(offset) },
    lineAt,
  });
  const composer = new Composer({
    // Every scalar is text: no number is rounded, no `no` becomes false.
    schema: 'failsafe',
    merge: false,
    // The library compares each key with all others, 7 seconds for 30,000 of them; `fieldsOf` looks them up.
    uniqueKeys: false,
    // A pretty error quotes the line, and with it the value.
    prettyErrors: false,
    lineCounter: lines,
  });
  const documents: Document.Parsed[] = [];
  for (const token of new Parser(lines.addNewLine).parse(text)) {
    if (token.type === 'error') return mistaken('UNEXPECTED_TOKEN', token.offset);
    for (const document of composer.next(token)) documents.push(document);
    if (documents.length > 1) break;
  }
  for (const document of composer.end()) documents.push(document);
  const [document, another] = documents;
  const [error] = document?.errors ?? [];
  if (error) return mistaken(error.code, error.pos[0]);
  if (another) return mistaken('MULTIPLE_DOCS', another.range[0]);
  return { root: document?.contents, mistake: null, lineAt };
}

function placeOf(node: unknown, lineAt: LineAt, scalar: ScalarReader, lineAbove = 1): Place {
  if (node === null || node === undefined) return { kind: 'nothing', line: lineAbove };
  const parsed = node as NonNullable<Node>;
  const line = parsed.range ? lineAt(parsed.range[0]) : lineAbove;
  if (isAlias(parsed)) return { kind: 'refused', line, reason: 'an alias (*name)' };
  if (parsed.tag !== undefined && parsed.tag !== 'tag:yaml.org,2002:str')
    return { kind: 'refused', line, reason: 'a value with a tag (!…)' };
  if (isScalar(parsed)) return { line, ...scalar(parsed) };
  if (isSeq(parsed))
    return { kind: 'list', line, items: () => parsed.items.map((item) => placeOf(item, lineAt, scalar, line)) };
  if (!isMap(parsed)) return { kind: 'refused', line, reason: 'something unknown' };
  const entries = (): Entry[] =>
    parsed.items.map((pair) => {
      const key = placeOf(pair.key, lineAt, scalar, line);
      return { key, value: placeOf(pair.value, lineAt, scalar, key.line) };
    });
  return { kind: 'map', line, entries };
}

function yamlScalar(node: Scalar): ReturnType<ScalarReader> {
  const text = typeof node.value === 'string' ? node.value : '';
  if (node.type !== 'PLAIN' || node.tag !== undefined) return { kind: 'text', text };
  if (/^(?:|~|null|Null|NULL)$/.test(text)) return { kind: 'nothing' };
  return { kind: /^(?:true|True|TRUE|false|False|FALSE)$/.test(text) ? 'literal' : 'text', text };
}

function jsonScalar(source: string): ReturnType<ScalarReader> {
  if (source === 'null') return { kind: 'nothing' };
  return source.startsWith('"')
    ? { kind: 'text', text: JSON.parse(source) as string }
    : { kind: 'literal', text: source };
}

/** The engine's message quotes the text around the mistake, so only its position is taken from it. */
function jsonProblem(text: string): { message: string; line?: number } | null {
  try {
    JSON.parse(text);
    return null;
  } catch (cause) {
    if (text.trim() === '') return { message: 'not valid JSON: the text is empty' };
    const said = cause instanceof Error ? cause.message : '';
    if (said.startsWith('Unexpected end')) return { message: 'not valid JSON: it ends too early' };
    const position = /at position (\d+)/.exec(said)?.[1];
    const line =
      position === undefined ? lineOfForeignScalar(text) : text.slice(0, Number(position)).split('\n').length;
    return line === undefined ? { message: 'not valid JSON' } : { message: 'not valid JSON', line };
  }
}

/** For `undefined`, `NaN`, `'…'` and other things that YAML takes for text the engine names no position. */
function lineOfForeignScalar(text: string): number | undefined {
  const { root, mistake, lineAt } = parseAsYaml(text);
  if (mistake) return mistake.line;
  const open: Place[] = [
    placeOf(root, lineAt, (node) => foreignOrNothing(text.slice(node.range?.[0], node.range?.[1]))),
  ];
  for (let place = open.pop(); place; place = open.pop()) {
    if (place.kind === 'text' || place.kind === 'refused') return place.line;
    for (const child of childrenOf(place).reverse()) open.push(child);
  }
  return undefined;
}

function childrenOf(place: Place): Place[] {
  if (place.kind === 'list') return [...place.items()];
  return place.kind === 'map' ? place.entries().flatMap(({ key, value }) => [key, value]) : [];
}

function foreignOrNothing(source: string): ReturnType<ScalarReader> {
  try {
    JSON.parse(source);
    return { kind: 'nothing' };
  } catch {
    return { kind: 'text', text: '' };
  }
}

/** The library's own messages quote the text, so each kind of mistake gets words of ours. */
const yamlProblems: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'a malformed alias',
  BAD_DIRECTIVE: 'a malformed directive (%…)',
  BAD_DQ_ESCAPE: 'an unknown escape in a double-quoted text; in single quotes a backslash means itself',
  BAD_INDENT: 'the indentation does not fit',
  BAD_SCALAR_START: 'a text that begins with this character has to be quoted',
  BLOCK_AS_IMPLICIT_KEY: 'two keys on one line; a value that contains ": " has to be quoted',
  KEY_OVER_1024_CHARS: 'a key of more than 1024 characters',
  MISSING_CHAR: 'a quote, a bracket, a comma or a colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing, or a value that goes on over lines has to be quoted',
  MULTIPLE_DOCS: 'more than one document (---)',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab is used for indentation',
};
