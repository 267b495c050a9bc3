import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DeleteItemCommand,
  GetItemCommand,
  QueryCommand,
  TransactGetItemsCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type {
  AttributeValue,
  DynamoDBClient,
  QueryCommandInput,
  QueryCommandOutput,
  TransactWriteItem,
  WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { compareBytes, ResultAsync, StorageFailure } from '@vivarium/core/storage';
import type { Stored } from '@vivarium/core/storage';

import { integerOf, sizeOf, text } from './attributes.ts';
import type { Item } from './attributes.ts';
import { cancellationReasons, isConflict, nameOf, toStorageFailure } from './errors.ts';
import type { CancellationReason, Intent } from './errors.ts';
import { Placeholders, updateExpression } from './expressions.ts';
import type { Changes, Condition } from './expressions.ts';
import type { Key } from './keys.ts';
import { OwnerQueue } from './owner-queue.ts';

/** The index of what is listed by time across partitions. It holds keys only, and only of items that have its two attributes. */
export const timeIndex = { name: 'by-time', partition: 'ipk', place: 'isk' } as const;

/**
 * One action of a transaction. With `when`, the item as it was comes back if the condition does not hold. `table` is the name of the table, where
 * it is another one than that which the transaction is sent to.
 */
export type Action = (
  | { readonly put: Item; readonly when?: Condition }
  | { readonly update: Key; readonly changes: Changes; readonly when: Condition }
  | { readonly remove: Key; readonly when?: Condition }
  | { readonly check: Key; readonly when: Condition }
) & { readonly table?: string };

/** An action whose condition did not hold, and the item as it was: `null` when there is none. */
export interface Broken {
  readonly index: number;
  readonly there: Item | null;
}

/** Which items of a partition to read, in the order of their sort keys. */
export interface Range {
  readonly pk: string;
  /** Both ends included. */
  readonly between?: readonly [from: string, to: string];
  /** Only what is behind this sort key. */
  readonly after?: string;
  /** Reads the index by time, newest last, instead of the table. Not strongly consistent: an index cannot be. */
  readonly byTime?: boolean;
  readonly backward?: boolean;
  /** Items a page, which may depend on how many pages came before it; as many as fit into 1 MB when not given. */
  readonly pageSize?: number | ((before: number) => number);
  /** Keys alone. */
  readonly keysOnly?: boolean;
  /** Leaves out what does not meet this; it is read and paid for all the same. */
  readonly where?: Condition;
}

/** Items found by their keys. */
export interface Found {
  of(key: Key): Item | null;
}

/** A transaction, a conditional write or a batch that loses to others is tried this often, with a random pause of at most this length. */
const tries = 20;
const firstPauseMs = 10;
const longestPauseMs = 400;

const itemsPerBatchRead = 100;
const itemsPerBatchWrite = 25;
const largestItem = 400 * 1_024;
const largestTransaction = 4 * 1_024 * 1_024;

/** One DynamoDB table: what the repositories say to it, with retries. Reads are strongly consistent but for the index. */
export class Table {
  readonly name: string;
  readonly #client: DynamoDBClient;
  readonly #owners = new OwnerQueue();

  constructor(client: DynamoDBClient, name: string) {
    this.#client = client;
    this.name = name;
  }

  /** Turns a method's work into its result: whatever is thrown in it becomes the one failure that storage can have. */
  answer<T>(intent: Intent, work: () => Promise<T>): Stored<T> {
    return ResultAsync.fromPromise((async () => work())(), (thrown) => toStorageFailure(thrown, intent, this.name));
  }

  /** Reads items by their keys: one request for up to 100. The keys have to be distinct. Not a snapshot: writes may come in between. */
  async get(...keys: readonly Key[]): Promise<Found> {
    const batches: (readonly Key[])[] = [];
    for (let i = 0; i < keys.length; i += itemsPerBatchRead) batches.push(keys.slice(i, i + itemsPerBatchRead));
    const items = await Promise.all(
      batches.map((batch) => (batch.length === 1 ? this.#getOne(batch[0]!) : this.#getBatch(batch))),
    );
    return foundIn(items.flat());
  }

  async #getOne(key: Key): Promise<Item[]> {
    const answer = await this.#client.send(
      new GetItemCommand({ TableName: this.name, Key: toAttributes(key), ConsistentRead: true }),
    );
    return answer.Item === undefined ? [] : [answer.Item];
  }

  async #getBatch(keys: readonly Key[]): Promise<Item[]> {
    const items: Item[] = [];
    let wanted: Record<string, AttributeValue>[] = keys.map(toAttributes);
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#client.send(
        new BatchGetItemCommand({ RequestItems: { [this.name]: { Keys: wanted, ConsistentRead: true } } }),
      );
      items.push(...(ofOneTable(answer.Responses) ?? []));
      wanted = ofOneTable(answer.UnprocessedKeys)?.Keys ?? [];
      if (wanted.length === 0) return items;
      if (attempt === tries) throw unprocessed(this.name, 'none');
      await pause(attempt);
    }
  }

  /** Reads items by their keys, as they were at one instant: one request for up to 100, for twice the read units. The keys have to be distinct. */
  async snapshot(...keys: readonly Key[]): Promise<Found> {
    const TransactItems = keys.map((key) => ({ Get: { TableName: this.name, Key: toAttributes(key) } }));
    for (let attempt = 1; ; attempt++) {
      try {
        const { Responses = [] } = await this.#client.send(new TransactGetItemsCommand({ TransactItems }));
        return foundIn(Responses.flatMap(({ Item }) => (Item === undefined ? [] : [Item])));
      } catch (thrown) {
        const conflict =
          cancellationReasons(thrown)?.some(({ Code }) => isConflict(Code)) ?? isConflict(nameOf(thrown));
        if (!conflict || attempt === tries) throw thrown;
      }
      await pause(attempt);
    }
  }

  /** Reads a range page by page; a page that nobody asks for is not requested. */
  async *pages(range: Range): AsyncGenerator<readonly Item[]> {
    if (range.between !== undefined && compareBytes(...range.between) > 0) return;
    const input = this.#query(range);
    let start: Record<string, AttributeValue> | undefined;
    for (let before = 0; before === 0 || start !== undefined; before++) {
      const limit = typeof range.pageSize === 'function' ? range.pageSize(before) : range.pageSize;
      const answer: QueryCommandOutput = await this.#client.send(
        new QueryCommand({
          ...input,
          ...(limit === undefined ? {} : { Limit: limit }),
          ...(start === undefined ? {} : { ExclusiveStartKey: start }),
        }),
      );
      yield answer.Items ?? [];
      start = answer.LastEvaluatedKey;
    }
  }

  /** The first items of a range: in one request, unless they fill more than 1 MB. */
  async first(range: Omit<Range, 'pageSize'>, count: number): Promise<readonly Item[]> {
    const items: Item[] = [];
    for await (const page of this.pages({ ...range, pageSize: count })) {
      items.push(...page);
      if (items.length >= count) break;
    }
    return items.slice(0, count);
  }

  async all(range: Range): Promise<readonly Item[]> {
    const items: Item[] = [];
    for await (const page of this.pages(range)) items.push(...page);
    return items;
  }

  #query(range: Range): QueryCommandInput {
    const p = new Placeholders();
    const [pk, sk] = range.byTime === true ? [timeIndex.partition, timeIndex.place] : ['pk', 'sk'];
    let condition = `${p.name(pk)} = ${p.value(text(range.pk))}`;
    if (range.between !== undefined) {
      condition += ` AND ${p.name(sk)} BETWEEN ${p.value(text(range.between[0]))} AND ${p.value(text(range.between[1]))}`;
    } else if (range.after !== undefined) {
      condition += ` AND ${p.name(sk)} > ${p.value(text(range.after))}`;
    }
    return {
      TableName: this.name,
      KeyConditionExpression: condition,
      ...(range.byTime === true ? { IndexName: timeIndex.name } : { ConsistentRead: true }),
      ...(range.backward === true ? { ScanIndexForward: false } : {}),
      ...(range.where === undefined ? {} : { FilterExpression: range.where(p) }),
      ...(range.keysOnly === true ? { ProjectionExpression: `${p.name('pk')}, ${p.name('sk')}` } : {}),
      ...p.fields(),
    };
  }

  /**
   * Writes all actions or none. Answers which conditions did not hold, empty when everything was written.
   *
   * A transaction that others were in the way of is sent again, up to 20 times. `owners` are the items that own what is changed: within
   * this process their writers queue up. `outranks` is the index of the action that has to be judged before any other refusal counts.
   * `beforeRetry` looks whether trying again makes sense; what it answers ends the tries.
   */
  async transact<Stop = never>(
    actions: readonly Action[],
    options: {
      readonly owners: readonly Key[];
      readonly outranks?: number | undefined;
      readonly beforeRetry?: (() => Promise<Stop | null>) | undefined;
    },
  ): Promise<readonly Broken[] | { readonly stop: Stop }> {
    checkSizes(actions);
    const items = actions.map((action) => this.#transactItem(action));
    return this.#owners.exclusively(
      options.owners.map(({ pk, sk }) => `${pk}\0${sk}`),
      async () => {
        let token = randomUUID();
        for (let attempt = 1; ; attempt++) {
          try {
            await this.#client.send(new TransactWriteItemsCommand({ TransactItems: items, ClientRequestToken: token }));
            return [];
          } catch (thrown) {
            const reasons = cancellationReasons(thrown);
            const broken = reasons?.flatMap(toBroken) ?? [];
            const judged = options.outranks === undefined || !isConflict(reasons?.[options.outranks]?.Code);
            if (broken.length > 0 && judged) return broken;
            const conflict =
              reasons === null ? isConflict(nameOf(thrown)) : reasons.some(({ Code }) => isConflict(Code));
            if (!conflict || attempt === tries) throw thrown;
            // A transaction that is still under way must be asked for by the same token; a cancelled one starts anew.
            if (reasons !== null) token = randomUUID();
          }
          await pause(attempt);
          const stop = (await options.beforeRetry?.()) ?? null;
          if (stop !== null) return { stop };
        }
      },
    );
  }

  #transactItem(action: Action): TransactWriteItem {
    const p = new Placeholders();
    const update = 'update' in action ? { UpdateExpression: updateExpression(action.changes, p) } : {};
    const guard =
      action.when === undefined
        ? {}
        : { ConditionExpression: action.when(p), ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const };
    const rest = { TableName: action.table ?? this.name, ...guard, ...p.fields() };
    if ('put' in action) return { Put: { Item: { ...action.put }, ...rest } };
    if ('remove' in action) return { Delete: { Key: toAttributes(action.remove), ...rest } };
    if ('update' in action)
      return { Update: { Key: toAttributes(action.update), UpdateExpression: '', ...update, ...rest } };
    return { ConditionCheck: { Key: toAttributes(action.check), ConditionExpression: '', ...rest } };
  }

  /** Changes one item, made if need be, provided that the condition holds; `false` when it does not. */
  async update(key: Key, changes: Changes, when: Condition): Promise<boolean> {
    const p = new Placeholders();
    const UpdateExpression = updateExpression(changes, p);
    const ConditionExpression = when(p);
    const fields = {
      TableName: this.name,
      Key: toAttributes(key),
      UpdateExpression,
      ConditionExpression,
      ...p.fields(),
    };
    return this.#conditionally(() => this.#client.send(new UpdateItemCommand(fields)));
  }

  /** Adds one to a number of an item, provided that the condition holds; what it is then, or `null` when it does not hold. */
  async increase(key: Key, attribute: string, when: Condition): Promise<number | null> {
    const p = new Placeholders();
    const UpdateExpression = updateExpression({ add: { [attribute]: 1 } }, p);
    const ConditionExpression = when(p);
    const fields = {
      TableName: this.name,
      Key: toAttributes(key),
      UpdateExpression,
      ConditionExpression,
      ReturnValues: 'UPDATED_NEW' as const,
      ...p.fields(),
    };
    let increased: number | null = null;
    await this.#conditionally(async () => {
      const { Attributes } = await this.#client.send(new UpdateItemCommand(fields));
      increased = integerOf(Attributes ?? {}, attribute);
    });
    return increased;
  }

  /** Deletes one item, provided that the condition holds; `false` when it does not. */
  async remove(key: Key, when: Condition): Promise<boolean> {
    const p = new Placeholders();
    const ConditionExpression = when(p);
    const fields = { TableName: this.name, Key: toAttributes(key), ConditionExpression, ...p.fields() };
    return this.#conditionally(() => this.#client.send(new DeleteItemCommand(fields)));
  }

  async #conditionally(send: () => Promise<unknown>): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        await send();
        return true;
      } catch (thrown) {
        if (nameOf(thrown) === 'ConditionalCheckFailedException') return false;
        if (!isConflict(nameOf(thrown)) || attempt === tries) throw thrown;
      }
      await pause(attempt);
    }
  }

  /** Deletes items, 25 a request, whether they are there or not. */
  async removeAll(keys: readonly Key[]): Promise<void> {
    await this.#writeAll(keys.map((key) => ({ DeleteRequest: { Key: toAttributes(key) } })));
  }

  /** Puts items, 25 a request, in their order but for those that DynamoDB leaves for later; a failure on the way leaves some of them there. */
  async putAll(items: readonly Item[]): Promise<void> {
    await this.#writeAll(items.map((Item) => ({ PutRequest: { Item: { ...Item } } })));
  }

  async #writeAll(requests: readonly WriteRequest[]): Promise<void> {
    for (let i = 0; i < requests.length; i += itemsPerBatchWrite) {
      let wanted: WriteRequest[] = requests.slice(i, i + itemsPerBatchWrite);
      for (let attempt = 1; wanted.length > 0; attempt++) {
        if (attempt > tries) throw unprocessed(this.name, 'unknown');
        if (attempt > 1) await pause(attempt - 1);
        const answer = await this.#client.send(new BatchWriteItemCommand({ RequestItems: { [this.name]: wanted } }));
        wanted = ofOneTable(answer.UnprocessedItems) ?? [];
      }
    }
  }
}

/** A random pause ("full jitter"), longer from attempt to attempt, so that those who met once do not meet again. */
export async function pause(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)));
}

function toAttributes({ pk, sk }: Key): Record<string, AttributeValue> {
  return { pk: text(pk), sk: text(sk) };
}

function foundIn(items: readonly Item[]): Found {
  const found = new Map(items.map((item) => [`${item['pk']!.S}\0${item['sk']!.S}`, item]));
  return { of: ({ pk, sk }) => found.get(`${pk}\0${sk}`) ?? null };
}

/** What a batch answers is sorted by table; where the table was named by its ARN, DynamoDB may answer with its name. */
function ofOneTable<T>(answer: Readonly<Record<string, T>> | undefined): T | undefined {
  return Object.values(answer ?? {})[0];
}

function toBroken({ Code, Item }: CancellationReason, index: number): Broken[] {
  return Code === 'ConditionalCheckFailed' ? [{ index, there: (Item as Item | undefined) ?? null }] : [];
}

function unprocessed(table: string, outcome: 'none' | 'unknown'): StorageFailure {
  const message = `DynamoDB throttles requests to ${table}: it left a part of a batch undone; try again later`;
  return new StorageFailure(message, { retryable: true, outcome });
}

/** DynamoDB would say so, too, but not which of its limits it was. */
function checkSizes(actions: readonly Action[]): void {
  const sizes = actions.map((action) => ('put' in action ? sizeOf(action.put) : 0));
  const tooLarge = (what: string) => new StorageFailure(what, { retryable: false, outcome: 'none' });
  if (sizes.some((size) => size > largestItem)) {
    throw tooLarge('the variables of an environment are too large: DynamoDB holds at most 400 KB in an item');
  }
  if (sizes.reduce((sum, size) => sum + size, 0) > largestTransaction) {
    throw tooLarge(
      'the write is too large: DynamoDB takes at most 4 MB in a transaction; create the project with fewer variables and set the others afterwards',
    );
  }
}
