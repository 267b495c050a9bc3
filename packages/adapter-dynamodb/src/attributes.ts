import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { utf8Length } from '@vivarium/core/storage';

/** An item as it is stored. Ours hold texts, whole numbers and lists of texts only. */
export type Item = Readonly<Record<string, AttributeValue>>;

export const text = (value: string): AttributeValue => ({ S: value });
export const integer = (value: number): AttributeValue => ({ N: String(value) });
export const texts = (values: readonly string[]): AttributeValue => ({ L: values.map(text) });
export const time = (value: Date): AttributeValue => integer(value.getTime());

/** Attributes of which `null` says that the item has none. */
export type Attributes = Readonly<Record<string, AttributeValue | null>>;

export const optionalText = (value: string | null) => (value === null ? null : text(value));
export const optionalInteger = (value: number | null) => (value === null ? null : integer(value));
export const optionalTime = (value: Date | null) => (value === null ? null : time(value));

/** The attributes that have a value; `null` leaves one out. */
export function present(attributes: Attributes): Item {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)) as Item;
}

export function textOf(item: Item, name: string): string {
  return item[name]?.S ?? damaged(item, name);
}

export function textsOf(item: Item, name: string): readonly string[] {
  return item[name]?.L?.map((value) => value.S ?? damaged(item, name)) ?? damaged(item, name);
}

export function optionalTextOf(item: Item, name: string): string | null {
  return item[name]?.S ?? null;
}

export function integerOf(item: Item, name: string): number {
  const digits = item[name]?.N;
  return digits === undefined ? damaged(item, name) : Number(digits);
}

export function timeOf(item: Item, name: string): Date {
  return new Date(integerOf(item, name));
}

export function optionalIntegerOf(item: Item, name: string): number | null {
  const digits = item[name]?.N;
  return digits === undefined ? null : Number(digits);
}

export function optionalTimeOf(item: Item, name: string): Date | null {
  const milliseconds = optionalIntegerOf(item, name);
  return milliseconds === null ? null : new Date(milliseconds);
}

/** Something else than this library wrote the item, or took an attribute away. */
export class DamagedItem extends Error {
  override readonly name = 'DamagedItem';
}

function damaged(item: Item, name: string): never {
  throw new DamagedItem(`the item ${item['pk']?.S} / ${item['sk']?.S} has no ${name}`);
}

/** Bytes that an item takes, at most: DynamoDB counts names and texts in UTF-8, a number with up to 21 bytes, and 4 for a list and 1 for each of its elements. */
export function sizeOf(item: Item): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(item)) bytes += utf8Length(name) + sizeOfValue(value);
  return bytes;
}

function sizeOfValue(value: AttributeValue): number {
  if (value.L !== undefined) return value.L.reduce((sum, element) => sum + 1 + sizeOfValue(element), 4);
  return value.S === undefined ? 21 : utf8Length(value.S);
}
