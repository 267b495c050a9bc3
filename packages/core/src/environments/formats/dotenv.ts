import { parse } from 'dotenv';

import type { InvalidInput } from '../../kernel/errors.ts';
import { err, ok } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';
import { UnrepresentableValue } from '../errors.ts';
import { variableKey } from '../model.ts';
import type { VariableInput } from '../model.ts';
import { Issues } from './issues.ts';
import { KEY_RULE } from './listing.ts';
import type { PlainVariable, VariableFile } from './variable-file.ts';

/**
 * dotenv's scanner. It reads the same as its regular expression, which needs 18 seconds for 80 KB of blank lines and would let a
 * file stop the process.
 */
const SCANNER = { fast: true };

/**
 * Reads a dotenv file with dotenv's own parser. That parser keeps the last of two equal keys, drops `__proto__`, sorts keys that are
 * numbers to the front, knows no lines and skips what it does not understand. To lose nothing, every line that could begin something
 * is marked before, in place of its key; where a mark comes out again tells what became of its line.
 */
export function readDotenv(text: string): Result<VariableFile, InvalidInput> {
  const { marked, marks, markPattern } = mark(text);
  const onlyAMark = new RegExp(`^${markPattern.source}$`);
  const issues = new Issues();
  const variables: VariableInput[] = [];
  const lines = new Map<string, number>();
  const understood = new Set<number>();

  for (const [markedKey, markedValue] of Object.entries(parse(marked, SCANNER))) {
    const value = markedValue.replace(markPattern, (_, index: string, offset: number) => {
      const original = marks[Number(index)]?.original ?? '';
      // A value that begins here began on a line of its own, perhaps with a quote that is hidden behind the mark.
      if (original !== '' || offset > 0) understood.add(Number(index));
      return original;
    });
    const index = Number(onlyAMark.exec(markedKey)?.[1]);
    const found = marks[index];
    if (!found || found.original === '') continue;
    understood.add(index);
    const key = found.original;
    const earlier = lines.get(key);
    if (!variableKey.safeParse(key).success) issues.add(`line ${found.line}`, KEY_RULE);
    else if (earlier !== undefined)
      issues.add(`line ${found.line}`, `the same key is given twice, first on line ${earlier}`);
    else {
      lines.set(key, found.line);
      variables.push({ key, value });
    }
  }
  marks.forEach(({ line }, index) => {
    if (!understood.has(index)) issues.add(`line ${line}`, 'is neither KEY=value nor a comment');
  });
  return issues.unlessAny({ name: null, variables, leftOut: [] });
}

interface Mark {
  readonly line: number;
  /** The word that the mark replaces; empty where the line begins with something that cannot be a key. */
  readonly original: string;
}

/**
 * Puts a mark in place of the first word of each line (behind `export`), or before what else a line begins with. Comments and blank lines
 * stay. A mark is itself a word, so that quotes, comments and line ends mean what they meant.
 */
function mark(text: string): { marked: string; marks: readonly Mark[]; markPattern: RegExp } {
  const taken = new Set(Array.from(text.matchAll(/VIVARIUM_(\d+)_/g), ([, number]) => number));
  let free = 0;
  while (taken.has(String(free))) free++;
  const prefix = `VIVARIUM_${free}_`;

  const marks: Mark[] = [];
  let line = 1;
  let counted = 0;
  // `^` is what it is for dotenv: it also stands behind U+2028 and U+2029, although a value may go on over these.
  const marked = text.replace(
    /^([^\S\n\u2028\u2029]*)(export[^\S\n\u2028\u2029]+(?=[\w.-]))?(?:([\w.-]+)|(?=[^\s#]))/gm,
    (_, space: string, exported: string | undefined, word: string | undefined, offset: number) => {
      if (word === undefined && offset > 0 && text[offset - 1] !== '\n') return space;
      for (; counted < offset; counted++) if (text[counted] === '\n') line++;
      marks.push({ line, original: word ?? '' });
      return `${space}${exported ?? ''}${prefix}${marks.length - 1}_`;
    },
  );
  return { marked, marks, markPattern: new RegExp(`${prefix}(\\d+)_`, 'g') };
}

/**
 * Writes `KEY=value` lines, descriptions as comments above. dotenv has no writer and nearly no escapes, so each value is tried in every
 * way of quoting until one reads back equal.
 */
export function writeDotenv(variables: readonly PlainVariable[]): Result<string, UnrepresentableValue> {
  let text = '';
  for (const variable of variables) {
    const assignment = assignmentOf(variable);
    if (assignment === null) return err(new UnrepresentableValue('dotenv', variable.key, whyNot(variable)));
    text += `${commentOf(variable.description)}${assignment}\n`;
  }
  // Once more as a whole; the regular expression is what most programs that load the file will use, and it is slow only on what the
  // scanner would not have read back.
  const lost = lostIn(parse(text, SCANNER), variables) ?? lostIn(parse(text), variables);
  return lost ? err(new UnrepresentableValue('dotenv', lost.key, whyNot(lost))) : ok(text);
}

function lostIn(read: Record<string, string>, variables: readonly PlainVariable[]): PlainVariable | undefined {
  return variables.find(({ key, value }) => !Object.hasOwn(read, key) || read[key] !== value);
}

/** A quote of each kind that would end a value which is still open. `.` is a key for dotenv and none for Vivarium. */
const WHAT_FOLLOWS = `\n.='#'\n.="#"\n.=\`#\`\n`;

function assignmentOf(variable: PlainVariable): string | null {
  for (const written of waysToWrite(variable.value)) {
    const assignment = `${variable.key}=${written}`;
    const read = parse(assignment + WHAT_FOLLOWS, SCANNER);
    if (Object.keys(read).length === 2 && !lostIn(read, [variable])) return assignment;
  }
  return null;
}

/**
 * From the plainest to the oddest. Single quotes come before double ones, in which other tools expand `$`, and quotes that the value has
 * itself come late: dotenv can read them, few others can.
 */
function waysToWrite(value: string): string[] {
  const escaped = value.replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  const free = ["'", '"', '`'].filter((quote) => !value.includes(quote)).map((quote) => quote + value + quote);
  const quoted = [...free, `"${escaped}"`, `'${value}'`, `"${value}"`, `\`${value}\``];
  // dotenv reads `\'` as not the end if it finds another quote that can be. The comment puts one there that cannot.
  const guarded = quoted.map((written) => `${written} #${written.slice(-1)}.`);
  const ways = [...quoted, value, escaped, ...guarded];
  return /^[A-Za-z0-9_./:@%+,-]+$/.test(value) ? [value, ...ways] : ways;
}

function commentOf(description: string | undefined): string {
  if (description === undefined) return '';
  return description
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => `${`# ${line}`.trimEnd()}\n`)
    .join('');
}

function whyNot({ key, value }: PlainVariable): string {
  if (key === '__proto__') return 'dotenv drops a variable of this name';
  if (value.includes('\r')) {
    return 'it has a carriage return, which can only be written as \\r between double quotes, and those cannot hold the rest of it';
  }
  return 'it has to be quoted, and each of the three kinds of quotes is used in it or would change it';
}
