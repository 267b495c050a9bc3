import type { AttributeValue } from '@aws-sdk/client-dynamodb';

import { integer } from './attributes.ts';

/** Collects the placeholders of one expression: DynamoDB reserves 573 words, and a value is never part of an expression's text. */
export class Placeholders {
  readonly #names = new Map<string, string>();
  readonly #values: Record<string, AttributeValue> = {};

  name(attribute: string): string {
    const known = this.#names.get(attribute);
    if (known !== undefined) return known;
    const placeholder = `#${this.#names.size}`;
    this.#names.set(attribute, placeholder);
    return placeholder;
  }

  value(value: AttributeValue): string {
    const placeholder = `:${Object.keys(this.#values).length}`;
    this.#values[placeholder] = value;
    return placeholder;
  }

  /** The request's fields; without values when there are none, because DynamoDB refuses an empty set. */
  fields(): {
    ExpressionAttributeNames?: Record<string, string>;
    ExpressionAttributeValues?: Record<string, AttributeValue>;
  } {
    const names = Object.fromEntries([...this.#names].map(([attribute, placeholder]) => [placeholder, attribute]));
    return {
      ...(this.#names.size === 0 ? {} : { ExpressionAttributeNames: names }),
      ...(Object.keys(this.#values).length === 0 ? {} : { ExpressionAttributeValues: this.#values }),
    };
  }
}

/** What has to hold of an item, or of its absence. */
export type Condition = (placeholders: Placeholders) => string;

export const exists: Condition = (p) => `attribute_exists(${p.name('pk')})`;
export const missing: Condition = (p) => `attribute_not_exists(${p.name('pk')})`;
export const without =
  (attribute: string): Condition =>
  (p) =>
    `attribute_not_exists(${p.name(attribute)})`;
export const has =
  (attribute: string): Condition =>
  (p) =>
    `attribute_exists(${p.name(attribute)})`;

const compare =
  (operator: '=' | '<>' | '<' | '<=' | '>') =>
  (attribute: string, value: AttributeValue): Condition =>
  (p) =>
    `${p.name(attribute)} ${operator} ${p.value(value)}`;

export const equal = compare('=');
export const unequal = compare('<>');
export const below = compare('<');
export const atMost = compare('<=');
export const above = compare('>');

/** Compares two attributes of the item with each other. */
export const belowAttribute =
  (attribute: string, other: string): Condition =>
  (p) =>
    `${p.name(attribute)} < ${p.name(other)}`;

export const all =
  (...conditions: readonly Condition[]): Condition =>
  (p) =>
    conditions.map((condition) => `(${condition(p)})`).join(' AND ');
export const either =
  (...conditions: readonly Condition[]): Condition =>
  (p) =>
    conditions.map((condition) => `(${condition(p)})`).join(' OR ');

/** How an item changes. A `null` takes the attribute away; `add` moves a counter; `element` sets one element of a list, or appends it right behind the last. */
export interface Changes {
  readonly set?: Readonly<Record<string, AttributeValue | null>>;
  readonly element?: { readonly of: string; readonly index: number; readonly value: AttributeValue } | null;
  readonly add?: Readonly<Record<string, number>>;
}

export function updateExpression({ set = {}, element = null, add = {} }: Changes, p: Placeholders): string {
  const assignments = Object.entries(set);
  const given = assignments.flatMap(([name, value]) => (value === null ? [] : [`${p.name(name)} = ${p.value(value)}`]));
  if (element !== null) given.push(`${p.name(element.of)}[${element.index}] = ${p.value(element.value)}`);
  const removed = assignments.flatMap(([name, value]) => (value === null ? [p.name(name)] : []));
  const added = Object.entries(add).map(([name, by]) => `${p.name(name)} ${p.value(integer(by))}`);
  return [clause('SET', given), clause('REMOVE', removed), clause('ADD', added)]
    .filter((text) => text !== '')
    .join(' ');
}

function clause(word: string, parts: readonly string[]): string {
  return parts.length === 0 ? '' : `${word} ${parts.join(', ')}`;
}
