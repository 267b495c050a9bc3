import type { JournalData, JournalEntry } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { auditPartition, entryKey, partsOf, placeOf, queuedKey } from './keys.ts';
import type { Key } from './keys.ts';
import { timeIndex } from './table.ts';

export function entryItem(entry: JournalEntry): Item {
  const { pk, sk } = entryKey(entry);
  return {
    pk: text(pk),
    sk: text(sk),
    [timeIndex.partition]: text(auditPartition(entry.orgId)),
    [timeIndex.place]: text(placeOf(entry.at.toISOString(), entry.id)),
    stream: text(entry.stream),
    sequence: integer(entry.sequence),
    action: text(entry.action),
    actorType: text(entry.actor.type),
    actorId: text(entry.actor.id),
    data: text(JSON.stringify(entry.data)),
  };
}

export function readEntry(item: Item): JournalEntry {
  const [orgId, , type, id] = partsOf(textOf(item, 'pk')) as [string, string, string, string];
  const place = textOf(item, 'sk');
  const at = place.indexOf('#');
  return {
    id: place.slice(at + 1),
    orgId,
    subject: { type, id },
    stream: textOf(item, 'stream'),
    sequence: integerOf(item, 'sequence'),
    action: textOf(item, 'action'),
    actor: { type: textOf(item, 'actorType'), id: textOf(item, 'actorId') },
    at: new Date(place.slice(0, at)),
    data: JSON.parse(textOf(item, 'data')) as JournalData,
  };
}

/** What waits for delivery is a pointer to the entry, so that it stays small however much the entry says. */
export function queuedItem(entry: JournalEntry): Item {
  const { pk, sk } = queuedKey(entry);
  return { pk: text(pk), sk: text(sk), ...pointerTo(entry) };
}

/** The attributes by which a waiting or parked entry is found again. */
export function pointerTo(entry: JournalEntry): Item {
  const { pk, sk } = entryKey(entry);
  return { entryPk: text(pk), entrySk: text(sk) };
}

export function entryOf(pointer: Item): Key {
  return { pk: textOf(pointer, 'entryPk'), sk: textOf(pointer, 'entrySk') };
}

/** What counts of an entry that waits: how often it has failed, and when it may be tried again. */
export function waitingOf(queued: Item): { readonly attempts: number; readonly dueAt: number } {
  return {
    attempts: queued['attempts'] === undefined ? 0 : integerOf(queued, 'attempts'),
    dueAt: queued['dueAt'] === undefined ? 0 : integerOf(queued, 'dueAt'),
  };
}
