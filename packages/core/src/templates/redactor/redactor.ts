import { InvalidInput } from '../../kernel/errors.ts';
import { SecretText } from '../../kernel/secret-text.ts';
import { isWellFormed, utf8Length } from '../text-size.ts';
import { encodedForms } from './encoded-forms.ts';
import { Matcher } from './matcher.ts';
import type { Cursor } from './matcher.ts';

/** What stands in the place of a secret, however long that is. */
const MASK = '***';
const MAX_BYTES = 262_144;
/** Bytes below which a secret gives a warning: it is easily guessed, and found where it is not meant. */
const SHORT = 8;

/** A secret that is not safe to rely on. Never says which text it is, only its place in the list. */
export interface RedactorWarning {
  readonly index: number;
  readonly message: string;
}

/** Takes secrets out of texts. Made by `createRedactor`. */
export interface Redactor {
  /** Secrets shorter than 8 bytes. */
  readonly warnings: readonly RedactorWarning[];
  /** The text with `***` in place of every secret. Whatever is no text is made one first. */
  text(text: string): string;
  /**
   * The same for a stream, however its chunks are cut. Takes texts, and bytes as UTF-8; gives texts. Holds back no more than what may be the
   * beginning of a secret.
   *
   * @example
   * response.body.pipeThrough(redactor.stream()).pipeThrough(new TextEncoderStream());
   */
  stream(): TransformStream<string | Uint8Array, string>;
}

/**
 * Makes a redactor for a list of secrets. Each is found as it is, line by line, and encoded: base64 and base64url (also inside something
 * larger, at any alignment), percent-encoded, as a form, as JSON, as hexadecimal. A form shorter than 4 bytes is not looked for; a secret shorter than
 * 8 gives a warning. Hits that overlap or touch are one `***`. Time is in proportion to the text, whatever it holds.
 *
 * Throws `InvalidInput` for anything but a list of texts and `SecretText`s without lone surrogates, together at most 256 KiB.
 *
 * @example
 * const redactor = createRedactor([token, password]);
 * console.log(redactor.text(line));
 */
export function createRedactor(secrets: readonly (string | SecretText)[]): Redactor {
  const texts = readSecrets(secrets);
  const forms = [...new Set(texts.flatMap(encodedForms))];
  const matcher = forms.length === 0 ? null : new Matcher(forms);
  const warnings = texts.flatMap((text, index): RedactorWarning[] => {
    const bytes = utf8Length(text);
    if (bytes >= SHORT) return [];
    return [{ index, message: `the secret is only ${bytes} bytes long: it may be left visible, or hide what is none` }];
  });
  return {
    warnings,
    text: (text) => (matcher === null ? asText(text) : redactText(matcher, asText(text))),
    stream: () => redactStream(matcher),
  };
}

function readSecrets(secrets: unknown): string[] {
  if (!Array.isArray(secrets)) throw new InvalidInput([{ path: 'secrets', message: 'must be a list of texts' }]);
  const texts = Array.from(secrets, (secret: unknown, index) => {
    const text = secret instanceof SecretText ? secret.reveal() : secret;
    if (typeof text === 'string' && isWellFormed(text)) return text;
    throw new InvalidInput([{ path: `secrets[${index}]`, message: 'must be a text without lone surrogates' }]);
  });
  if (texts.reduce((sum, text) => sum + utf8Length(text), 0) > MAX_BYTES) {
    throw new InvalidInput([{ path: 'secrets', message: `must not be larger than ${MAX_BYTES} bytes together` }]);
  }
  return texts;
}

/** A log line may turn out to be anything; what it prints as is what must not hold a secret. */
function asText(given: unknown): string {
  if (typeof given === 'string') return given;
  try {
    return String(given);
  } catch {
    return MASK;
  }
}

function redactText(matcher: Matcher, text: string): string {
  const redaction = new Redaction(matcher);
  redaction.read(text);
  return redaction.untouched ? text : redaction.take(true);
}

function redactStream(matcher: Matcher | null): TransformStream<string | Uint8Array, string> {
  const redaction = matcher === null ? null : new Redaction(matcher);
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const emit = (text: string, last: boolean, controller: TransformStreamDefaultController<string>) => {
    redaction?.read(text);
    const ready = redaction === null ? text : redaction.take(last);
    if (ready !== '') controller.enqueue(ready);
  };
  return new TransformStream({
    transform: (chunk, controller) => {
      const text = ArrayBuffer.isView(chunk)
        ? decoder.decode(chunk, { stream: true })
        : decoder.decode() + asText(chunk);
      emit(text, false, controller);
    },
    flush: (controller) => emit(decoder.decode(), true, controller),
  });
}

/** A text on its way through, piece by piece. Positions count from the beginning of what is held. */
class Redaction {
  readonly #matcher: Matcher;
  readonly #cursor: Cursor = { at: 0, node: 0 };
  /** What was read and not given out. */
  #held = '';
  /** Where masks go, in order, apart from one another. The first may have begun in what is no longer held: then at -1. */
  #masks: { start: number; end: number }[] = [];

  constructor(matcher: Matcher) {
    this.#matcher = matcher;
  }

  /** Whether nothing was found so far. */
  get untouched(): boolean {
    return this.#masks.length === 0;
  }

  read(text: string): void {
    this.#held += text;
    this.#matcher.search(this.#held, this.#cursor, (start, end) => this.#mask(start, end));
  }

  #mask(start: number, end: number): void {
    let first = start;
    for (let last = this.#masks.at(-1); last !== undefined && last.end >= first; last = this.#masks.at(-1)) {
      first = Math.min(first, last.start);
      this.#masks.pop();
    }
    this.#masks.push({ start: first, end });
  }

  /** Gives out what can no longer change: all of it at the end, before that what no secret may still begin in. */
  take(atEnd: boolean): string {
    const held = this.#held;
    const settled = atEnd ? held.length : this.#matcher.beginning(this.#cursor);
    let ready = '';
    let given = 0;
    let closed = 0;
    for (const { start, end } of this.#masks) {
      if (start >= settled) break;
      ready += held.slice(given, Math.max(given, start));
      // A mask that reaches what is not settled may still grow. What it hides need not be held for that.
      given = Math.min(end, settled);
      if (end >= settled && !atEnd) break;
      ready += MASK;
      closed++;
    }
    const open = closed < this.#masks.length && this.#masks[closed]!.start < settled;
    if (!open) {
      ready += held.slice(given, settled);
      given = settled;
    }
    this.#drop(given, closed);
    return ready;
  }

  #drop(length: number, masks: number): void {
    this.#held = this.#held.slice(length);
    this.#cursor.at -= length;
    this.#masks = this.#masks
      .slice(masks)
      .map(({ start, end }) => ({ start: Math.max(-1, start - length), end: end - length }));
  }
}
