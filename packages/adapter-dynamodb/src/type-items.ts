import { compareBytes, stateChangeTypes } from '@vivarium/core/storage';
import type {
  LoadedType,
  SecretDefinition,
  StateChangeAction,
  StoredType,
  StoredTypeSummary,
} from '@vivarium/core/storage';

import {
  integer,
  integerOf,
  optionalInteger,
  optionalIntegerOf,
  optionalText,
  optionalTextOf,
  present,
  text,
  textOf,
  time,
  timeOf,
} from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { partsOf, typeKey, typeNameKey, typePartsKey } from './keys.ts';

/** The items that a type is made of: itself with the count of its live instances, its parts, and its name's claim. */
export function typeItems(
  orgId: string,
  type: StoredType,
): { readonly head: Item; readonly parts: Item; readonly claim: Item } {
  const head = typeKey(orgId, type.id);
  const parts = typePartsKey(orgId, type.id);
  const { createdBy, createdAt, version } = type;
  return {
    head: present({
      pk: text(head.pk),
      sk: text(head.sk),
      ...typeAttributes(type),
      live: integer(0),
      partsVersion: integer(version),
      createdByType: text(createdBy.type),
      createdById: text(createdBy.id),
      createdAt: time(createdAt),
    }),
    parts: {
      pk: text(parts.pk),
      sk: text(parts.sk),
      version: integer(version),
      ...Object.fromEntries(type.actions.map(actionAttribute)),
      ...Object.fromEntries(type.secrets.map(secretAttribute)),
    },
    claim: typeClaim(orgId, type),
  };
}

export function typeClaim(orgId: string, { id, nameKey }: StoredType): Item {
  const { pk, sk } = typeNameKey(orgId, nameKey);
  return { pk: text(pk), sk: text(sk), id: text(id) };
}

/** What a write of a type replaces in its item. */
export function typeAttributes(type: StoredType): Attributes {
  const { lastModifiedBy } = type;
  return {
    name: text(type.name),
    nameKey: text(type.nameKey),
    description: optionalText(type.description),
    state: text(type.state),
    maximum: optionalInteger(type.maxNumberOfInstances),
    ttlMs: optionalInteger(type.ttlMs),
    maxTtlMs: optionalInteger(type.maxTtlMs),
    sleepAfterMs: optionalInteger(type.sleepAfterMs),
    changeTimeoutMs: integer(type.changeTimeoutMs),
    modifiedByType: text(lastModifiedBy.type),
    modifiedById: text(lastModifiedBy.id),
    version: integer(type.version),
    updatedAt: time(type.updatedAt),
  };
}

/** Each action and each secret definition is an attribute of its own, so that one is written without knowledge of the others. */
export const actionName = (stateChangeType: string) => `A#${stateChangeType}`;
export const secretName = (name: string) => `S#${name}`;
export const actionAttribute = (action: StateChangeAction) =>
  [actionName(action.stateChangeType), text(JSON.stringify(action))] as const;
export const secretAttribute = (secret: SecretDefinition) =>
  [secretName(secret.name), text(JSON.stringify(secret))] as const;

/** A type of two items that were not read at one instant; `null` when they do not belong together, or one is missing. */
export function readType(head: Item | null, parts: Item | null): LoadedType | null {
  if (head === null || parts === null || integerOf(head, 'partsVersion') !== integerOf(parts, 'version')) return null;
  return {
    ...readTypeSummary(head),
    actions: stateChangeTypes.flatMap((type) => readPart<StateChangeAction>(parts, actionName(type))),
    secrets: Object.keys(parts)
      .filter((name) => name.startsWith(secretName('')))
      .sort(compareBytes)
      .flatMap((name) => readPart<SecretDefinition>(parts, name)),
  };
}

function readPart<Part>(parts: Item, name: string): Part[] {
  const json = optionalTextOf(parts, name);
  if (json === null) return [];
  const part = JSON.parse(json) as { createdAt: string; updatedAt: string };
  return [{ ...part, createdAt: new Date(part.createdAt), updatedAt: new Date(part.updatedAt) } as Part];
}

export function readTypeSummary(head: Item): StoredTypeSummary {
  return {
    id: partsOf(textOf(head, 'pk'))[2]!,
    name: textOf(head, 'name'),
    nameKey: textOf(head, 'nameKey'),
    description: optionalTextOf(head, 'description'),
    state: textOf(head, 'state') as StoredType['state'],
    maxNumberOfInstances: optionalIntegerOf(head, 'maximum'),
    ttlMs: optionalIntegerOf(head, 'ttlMs'),
    maxTtlMs: optionalIntegerOf(head, 'maxTtlMs'),
    sleepAfterMs: optionalIntegerOf(head, 'sleepAfterMs'),
    changeTimeoutMs: integerOf(head, 'changeTimeoutMs'),
    createdBy: { type: textOf(head, 'createdByType'), id: textOf(head, 'createdById') },
    lastModifiedBy: { type: textOf(head, 'modifiedByType'), id: textOf(head, 'modifiedById') },
    liveInstances: integerOf(head, 'live'),
    version: integerOf(head, 'version'),
    createdAt: timeOf(head, 'createdAt'),
    updatedAt: timeOf(head, 'updatedAt'),
  };
}
