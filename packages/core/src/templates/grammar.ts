/**
 * The grammar of a template:
 *
 *     {{ NAME }}            a slot; spaces and tabs inside the braces do not matter
 *     {{ NAME:-default }}   the default stands in where NAME is missing or empty, as in a shell
 *     {{ NAME|raw }}        not encoded for its context; {{ NAME|raw:-default }} has both
 *     {{ $name }}           a dynamic variable
 *     \{{                   the text {{
 *
 * Everything else is text, also what is malformed between braces: that is reported and left as it is. Reading takes time in proportion
 * to the source, whatever it holds.
 */

/** Something between braces that is no slot, and so was left as text. */
export interface Diagnostic {
  readonly code: 'unclosed_slot' | 'malformed_name' | 'unknown_modifier' | 'nested_slot';
  readonly message: string;
  /** Where it begins in the source, in UTF-16 code units. */
  readonly offset: number;
  /** Which part of a request or deep value it is in; empty for a single template. */
  readonly at: string;
}

/** A slot as it is written. */
export interface SlotSyntax {
  readonly key: string;
  readonly dynamic: boolean;
  readonly raw: boolean;
  readonly fallback: string | null;
  readonly offset: number;
  readonly source: string;
}

/** A source taken apart: `literals[0] slots[0] literals[1] … literals[slots.length]`. */
export interface Parsed {
  readonly literals: readonly string[];
  readonly slots: readonly SlotSyntax[];
  readonly diagnostics: readonly Diagnostic[];
}

/** What a key may be: letters, digits, `_` and `-`, at most 256 of them. */
export const KEY = /^[A-Za-z0-9_-]{1,256}$/;

/** What the name of a dynamic variable may be. */
export const DYNAMIC_NAME = /^\$[A-Za-z0-9_-]{1,256}$/;

const NAME_AT = /\$?[A-Za-z0-9_-]+/y;
const MAX_NAME = 256;
const MAX_DIAGNOSTICS = 100;

const MESSAGES: Record<Diagnostic['code'], string> = {
  unclosed_slot: '"{{" without "}}" is left as text',
  malformed_name: 'no name of letters, digits, "_" and "-" between the braces: left as text',
  unknown_modifier: 'after the name only ":-default" and "|raw" are known: left as text',
  nested_slot: 'a slot inside the default of another: the outer one is left as text',
};

/** Whether a text can hold anything but text: the cheap look that saves reading it. */
export function mentionsSlot(source: string): boolean {
  // Most texts hold no brace at all, and looking for a single character is much the faster search.
  const brace = source.indexOf('{');
  return brace !== -1 && (source[brace + 1] === '{' || source.includes('{{', brace + 1));
}

export function parse(source: string): Parsed {
  const literals: string[] = [];
  const slots: SlotSyntax[] = [];
  const diagnostics: Diagnostic[] = [];
  const report = (code: Diagnostic['code'], offset: number) => {
    if (diagnostics.length < MAX_DIAGNOSTICS) diagnostics.push({ code, message: MESSAGES[code], offset, at: '' });
  };

  let literal = '';
  let copied = 0;
  let close = -1;
  let open = source.indexOf('{{');
  while (open !== -1) {
    if (isEscaped(source, open)) {
      literal += source.slice(copied, open - 1) + '{{';
      copied = open + 2;
      open = source.indexOf('{{', copied);
      continue;
    }
    // Of a longer run of braces the last two open the slot: `{{{NAME}}}` is a value in braces.
    while (source[open + 2] === '{') open++;
    // The next `}}` is looked for once and kept, so that many openings before one closing stay linear.
    if (close !== source.length && close < open + 2) {
      close = source.indexOf('}}', open + 2);
      if (close === -1) {
        close = source.length;
        report('unclosed_slot', open);
      }
    }
    const slot = close === source.length ? null : readSlot(source, open, close);
    if (slot === null || typeof slot === 'string') {
      if (slot !== null) report(slot, open);
      open = source.indexOf('{{', open + 2);
      continue;
    }
    literals.push(literal + source.slice(copied, open));
    slots.push(slot);
    literal = '';
    copied = close + 2;
    open = source.indexOf('{{', copied);
  }
  literals.push(literal + source.slice(copied));
  return { literals, slots, diagnostics };
}

/**
 * An odd number of backslashes escapes. An even number is left alone, all of it, because in the JSON text `"C:\\{{DIR}}"` the two of
 * them already are one escaped backslash.
 */
function isEscaped(source: string, open: number): boolean {
  let backslashes = 0;
  while (source[open - 1 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 1;
}

function readSlot(source: string, open: number, close: number): SlotSyntax | Diagnostic['code'] {
  let at = skipSpaces(source, open + 2);
  NAME_AT.lastIndex = at;
  const key = NAME_AT.exec(source)?.[0];
  if (key === undefined || key.length > MAX_NAME + (key[0] === '$' ? 1 : 0)) return 'malformed_name';

  at = skipSpaces(source, at + key.length);
  let raw = false;
  if (source[at] === '|') {
    at = skipSpaces(source, at + 1);
    if (!source.startsWith('raw', at)) return 'unknown_modifier';
    raw = true;
    at = skipSpaces(source, at + 3);
  }
  let fallback: string | null = null;
  if (source.startsWith(':-', at)) {
    const nested = source.indexOf('{{', at);
    if (nested !== -1 && nested < close) return 'nested_slot';
    fallback = trimSpaces(source.slice(at + 2, close));
    at = close;
  }
  if (at !== close) return source[at] === '|' || source[at] === ':' || raw ? 'unknown_modifier' : 'malformed_name';
  return { key, dynamic: key[0] === '$', raw, fallback, offset: open, source: source.slice(open, close + 2) };
}

function skipSpaces(source: string, from: number): number {
  let at = from;
  while (source[at] === ' ' || source[at] === '\t') at++;
  return at;
}

/** By hand, because a regular expression for the end takes quadratic time on long runs of spaces. */
function trimSpaces(text: string): string {
  const start = skipSpaces(text, 0);
  let end = text.length;
  while (end > start && (text[end - 1] === ' ' || text[end - 1] === '\t')) end--;
  return text.slice(start, end);
}
