import type { SlotSyntax } from './grammar.ts';
import { JSON_SCALAR, JSON_STRING, RAW_JSON_STRING } from './places.ts';
import type { Place } from './places.ts';

/** The place of each slot in a JSON template: in or outside of the quotes that the text opens and closes. */
export function jsonPlaces(literals: readonly string[], slots: readonly SlotSyntax[]): Place[] {
  let quoted = false;
  return slots.map((slot, index) => {
    quoted = quotedAfter(literals[index]!, quoted);
    if (!quoted) return JSON_SCALAR;
    return slot.raw ? RAW_JSON_STRING : JSON_STRING;
  });
}

function quotedAfter(text: string, quotedBefore: boolean): boolean {
  let quoted = quotedBefore;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '"') quoted = !quoted;
    else if (character === '\\' && quoted) index++;
  }
  return quoted;
}
