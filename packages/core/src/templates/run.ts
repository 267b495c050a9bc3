import { InvalidInput } from '../kernel/errors.ts';
import { SecretText } from '../kernel/secret-text.ts';
import { BUILT_IN } from './dynamic.ts';
import { MissingVariable, OutputTooLarge, UnsafeValue } from './errors.ts';
import type { MissingSlot, TemplateContext, UnsafeReason } from './errors.ts';
import type { Diagnostic } from './grammar.ts';
import type { ReadOptions } from './options.ts';
import type { Place } from './places.ts';
import type { Snapshot } from './snapshot.ts';
import { isWellFormed } from './text-size.ts';
import { COMPLETE, NOTHING, Value } from './value.ts';
import type { Gaps } from './value.ts';

/** A slot of a template, ready to be filled. */
export interface Slot {
  readonly key: string;
  readonly dynamic: boolean;
  readonly raw: boolean;
  readonly fallback: Value | null;
  readonly offset: number;
  readonly source: string;
  readonly place: Place;
}

/** Why rendering ended. */
export type RenderError = MissingVariable | UnsafeValue | OutputTooLarge | InvalidInput;

export const NONE_MISSING: readonly string[] = Object.freeze([]);

/**
 * One rendering, of a single template or of all those in a request or deep value: where values come from, and what was noticed on the way.
 * Methods that find a reason to stop leave it in `failure` and return null.
 */
export class Run {
  readonly snapshot: Snapshot;
  readonly options: ReadOptions;
  /** Names the part that is being rendered; asked only when something is to be said about it. */
  locate: () => string = () => '';
  failure: RenderError | null = null;
  /** What all templates of a request or deep value come to, added up by `fill`. */
  readonly used = new Set<string>();
  secret = false;
  length = 0;
  /** Whether the values found since this was last set to true depend on the snapshot alone, and so would be the same again. */
  repeatable = true;
  #absent: Set<string> | null = null;
  #missing: Set<string> | null = null;

  constructor(snapshot: Snapshot, options: ReadOptions) {
    this.snapshot = snapshot;
    this.options = options;
  }

  /**
   * What fills a slot: a value, the slot's own source where it is kept, or null where rendering has to stop. Then `failure` says why, unless the
   * variable is missing: `refuseMissing` says that for the whole template.
   */
  find(slot: Slot): Value | string | null {
    if (slot.dynamic) return this.#dynamic(slot);
    const value = this.snapshot.values.get(slot.key);
    if (value === undefined) return this.#withoutValue(slot);
    if (value.text === '') return slot.fallback ?? value;
    return value.gaps.size === 0 ? value : this.#withGaps(slot, value);
  }

  #withoutValue(slot: Slot): Value | string | null {
    (this.#absent ??= new Set()).add(slot.key);
    if (slot.fallback !== null) return slot.fallback;
    if (this.options.missing === 'error') return null;
    this.#miss(slot.key);
    return this.options.missing === 'keep' ? slot.source : NOTHING;
  }

  #withGaps(slot: Slot, value: Value): Value | null {
    if (this.options.missing === 'error') return null;
    for (const key of value.gaps.keys()) this.#miss(key);
    if (this.options.missing === 'keep') return value;
    return value.emptied.text === '' ? (slot.fallback ?? value.emptied) : value.emptied;
  }

  #miss(key: string): void {
    this.repeatable = false;
    (this.#missing ??= new Set()).add(key);
  }

  #dynamic(slot: Slot): Value | string | null {
    this.repeatable = false;
    const builtIn = BUILT_IN.get(slot.key);
    const own = this.options.own.get(slot.key);
    if (builtIn === undefined && own === undefined) return this.#withoutValue(slot);
    let made: unknown;
    try {
      made = builtIn === undefined ? own!() : builtIn(this.options.ports);
    } catch {
      return this.#badSource(slot, 'threw instead of returning a text');
    }
    const text = made instanceof SecretText ? made.reveal() : made;
    if (typeof text !== 'string' || !isWellFormed(text)) {
      return this.#badSource(slot, 'must return a text without lone surrogates');
    }
    return text === '' && slot.fallback !== null ? slot.fallback : new Value(text, made instanceof SecretText);
  }

  #badSource(slot: Slot, message: string): null {
    return this.fail(new InvalidInput([{ path: `options.dynamic.${slot.key}`, message }]));
  }

  /** Names every variable that is missing in a template, each once: who has to set one sees at once what else there is to set. */
  refuseMissing(slots: readonly Slot[]): null {
    const missing = new Map<string, MissingSlot>();
    for (const slot of slots) {
      for (const [key, path] of this.#gapsAt(slot)) {
        if (!missing.has(key)) missing.set(key, { ...this.#position(slot), key, path });
      }
    }
    const [first, ...others] = missing.values();
    return this.fail(new MissingVariable(first!, others));
  }

  /** The keys that a slot lacks, with the references to each; none where it can be filled. */
  #gapsAt({ key, dynamic, fallback }: Slot): Gaps {
    const value = dynamic ? undefined : this.snapshot.values.get(key);
    if (value !== undefined) return value.gaps;
    const made = dynamic && (BUILT_IN.has(key) || this.options.own.has(key));
    return made || fallback !== null ? COMPLETE : new Map([[key, [key]]]);
  }

  refuse(slot: Slot, context: TemplateContext, reason: UnsafeReason): null {
    return this.fail(new UnsafeValue(this.#position(slot), context, reason));
  }

  overflow(): null {
    return this.fail(new OutputTooLarge(this.options.maxBytes, this.locate()));
  }

  fail(error: RenderError): null {
    this.failure = error;
    return null;
  }

  #position({ key, offset }: Slot) {
    return { key, offset, at: this.locate() };
  }

  /** Of the keys in a template's slots, those that had a value. */
  found(keys: readonly string[]): readonly string[] {
    const absent = this.#absent;
    return absent === null ? keys : Object.freeze(keys.filter((key) => !absent.has(key)));
  }

  get missing(): readonly string[] {
    return this.#missing === null ? NONE_MISSING : Object.freeze([...this.#missing]);
  }
}

/** Diagnostics as they read in a part of something larger. */
export function diagnosticsAt(diagnostics: readonly Diagnostic[], at: string): readonly Diagnostic[] {
  return diagnostics.map((diagnostic) => ({ ...diagnostic, at }));
}
