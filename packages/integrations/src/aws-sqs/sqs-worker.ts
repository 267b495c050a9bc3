import type { Message, SQSClient } from '@aws-sdk/client-sqs';
import { isVivariumError } from '@vivarium/core';
import type { QueueMessage, ResultAsync } from '@vivarium/core';
import { checkOptions, hasMethods, may, must } from '@vivarium/core/storage';
import { Consumer } from 'sqs-consumer';

import { wholeNumber } from '../whole-number.ts';
import { AwsSqsFailure } from './failure.ts';
import { messageOf } from './message.ts';
import { fifoQueueNeeded, isFifoQueue } from './sqs-queue.ts';

/** The part of a `Vivarium` that the worker uses. */
export interface WorkingVivarium {
  system(org: string): {
    readonly previews: {
      handle(
        message: QueueMessage,
        options: { readonly signal: AbortSignal },
      ): ResultAsync<unknown, { readonly code: string; readonly message: string }>;
    };
  };
}

/** Why a message was not worked off, or why the queue could not be asked. Holds no message's body. */
export interface SqsWorkerFailure {
  /**
   * - `given_back`: `handle` failed, and the message comes again.
   * - `left`: it is no message of previews. It comes again until the queue's redrive policy takes it to the dead letter queue.
   * - `queue`: receiving, keeping or deleting failed; receiving goes on.
   */
  readonly type: 'given_back' | 'left' | 'queue';
  readonly messageId: string | null;
  /** When the message comes again; `null` where that is the queue's affair. */
  readonly retryAfterMs: number | null;
  readonly error: { readonly code?: string; readonly message: string };
}

/** Which queue, and how many at a time. */
export interface SqsWorkerOptions {
  readonly vivarium: WorkingVivarium;
  /** The host's own client. It is not closed here. */
  readonly client: SQSClient;
  /** A FIFO queue: its URL ends in `.fifo`. */
  readonly queueUrl: string;
  /** How many environments are worked on at the same time: 4 when not given, at most 100. */
  readonly concurrency?: number | undefined;
  /** For how many seconds a message is hidden from others; that is extended for as long as it is worked on: 60 when not given, 3 to 43,200. */
  readonly visibilityTimeoutSeconds?: number | undefined;
  /** How long one poll waits for a message, in seconds: 20 when not given, 0 to 20. */
  readonly waitTimeSeconds?: number | undefined;
  /** How long `stop` waits for what is under way before it aborts it, in milliseconds: 30,000 when not given. */
  readonly graceMs?: number | undefined;
  /** Is told what did not succeed. What it throws is ignored. */
  readonly onFailure?: ((failure: SqsWorkerFailure) => void) | undefined;
}

/** Works off a queue from `start` until `stop`. */
export interface SqsWorker {
  /** Begins to receive. Does nothing where it has begun. */
  start(): void;
  /** Receives no more, and resolves when nothing is under way. Messages that were not worked off come again. */
  stop(): Promise<void>;
}

/** SQS hides a message for 12 hours in all; an hour is left for the tries before. */
const longestPauseSeconds = 39_600;
const [firstPauseSeconds, longestBackoffSeconds] = [5, 300];
/** How long a handler may take to notice that it was aborted. */
const abortedMs = 5_000;

/**
 * Receives the messages of previews from a FIFO queue of SQS (by `sqs-consumer`) and hands them to `previews.handle` of their org. A message that was worked off is deleted. One that was
 * not is given back and comes again after `retryAfterMs` of the error, or after a pause that doubles with each delivery.
 *
 * Needs `sqs:ReceiveMessage`, `sqs:DeleteMessage` and `sqs:ChangeMessageVisibility`. The queue should have a redrive policy. Throws `InvalidInput` on a wrong configuration.
 */
export function sqsWorker(options: SqsWorkerOptions): SqsWorker {
  checkOptions(options, {
    vivarium: must(hasMethods('system'), 'must be what createVivarium returned'),
    client: must(hasMethods('send'), 'must be an SQSClient'),
    queueUrl: must(isFifoQueue, fifoQueueNeeded),
    concurrency: wholeNumber(1, 100),
    visibilityTimeoutSeconds: wholeNumber(3, 43_200),
    waitTimeSeconds: wholeNumber(0, 20),
    graceMs: wholeNumber(0, 3_600_000),
    onFailure: may((tell) => typeof tell === 'function', 'must be a function'),
  });
  let lanes: readonly Lane[] = [];
  return {
    start: () => {
      if (lanes.length > 0) return;
      lanes = Array.from({ length: options.concurrency ?? 4 }, () => new Lane(options));
    },
    stop: async () => {
      const stopped = lanes;
      lanes = [];
      await Promise.all(stopped.map((lane) => lane.stop()));
    },
  };
}

/** One message at a time. */
class Lane {
  readonly #options: SqsWorkerOptions;
  readonly #consumer: Consumer;
  readonly #work = new AbortController();
  readonly #polling = new AbortController();
  readonly #pauses = new WeakMap<Message, number>();
  #underWay: { readonly done: Promise<void>; readonly end: () => void } | null = null;
  #failures = 0;

  constructor(options: SqsWorkerOptions) {
    this.#options = options;
    const { client, queueUrl, visibilityTimeoutSeconds = 60, waitTimeSeconds = 20 } = options;
    this.#consumer = Consumer.create({
      sqs: client,
      queueUrl,
      batchSize: 1,
      waitTimeSeconds,
      visibilityTimeout: visibilityTimeoutSeconds,
      heartbeatInterval: Math.max(1, Math.floor(visibilityTimeoutSeconds / 3)),
      messageSystemAttributeNames: ['ApproximateReceiveCount'],
      suppressFifoWarning: true,
      terminateVisibilityTimeout: ([message]) => this.#pauses.get(message!) ?? firstPauseSeconds,
      preReceiveMessageCallback: () => this.#pauseAfterFailures(),
      postReceiveMessageCallback: async () => void (this.#failures = 0),
      handleMessage: (message) => this.#handle(message),
    });
    this.#consumer.on('error', (cause, message) => this.#failed(cause, message));
    this.#consumer.on('response_processed', () => {
      this.#underWay?.end();
      this.#underWay = null;
    });
    this.#consumer.start();
  }

  async stop(): Promise<void> {
    this.#polling.abort();
    const { done } = this.#underWay ?? {};
    // Aborting a poll gives no message away; aborting while one is worked on would abort its deletion, too.
    this.#consumer.stop({ abort: done === undefined });
    if (done === undefined) return;
    if (await isOver(done, this.#options.graceMs ?? 30_000)) return;
    this.#work.abort();
    await isOver(done, abortedMs);
  }

  async #handle(message: Message): Promise<Message | undefined> {
    const { promise: done, resolve: end } = Promise.withResolvers<void>();
    this.#underWay = { done, end };
    // It came while the poll was being given up: it comes again.
    if (this.#polling.signal.aborted) return undefined;

    const asked = messageOf(message.Body);
    if (asked === null) {
      this.#tell('left', message, null, { message: 'this is no message of previews' });
      return undefined;
    }
    const failure = await this.#workOff(asked);
    if (failure === null) return message;

    const pauseMs = failure.retryAfterMs ?? backoffMs(Number(message.Attributes?.ApproximateReceiveCount ?? 1));
    const seconds = Math.min(longestPauseSeconds, Math.ceil(pauseMs / 1_000));
    this.#pauses.set(message, seconds);
    this.#tell('given_back', message, seconds * 1_000, failure.error);
    throw new Error('given back');
  }

  /** What went wrong; `null` when nothing did. Of what was thrown and is not Vivarium's own, only its name is told. */
  async #workOff(
    message: QueueMessage,
  ): Promise<{ readonly error: SqsWorkerFailure['error']; readonly retryAfterMs: number | null } | null> {
    try {
      const previews = this.#options.vivarium.system(message.orgId).previews;
      const handled = await previews.handle(message, { signal: this.#work.signal });
      return handled.match(() => null, failureOf);
    } catch (thrown) {
      if (isVivariumError(thrown)) return failureOf(thrown);
      const name = thrown instanceof Error && /^\w{1,100}$/.test(thrown.name) ? thrown.name : 'Error';
      return { error: { message: `a defect: ${name}` }, retryAfterMs: null };
    }
  }

  #failed(cause: Error, message: Message | Message[] | undefined): void {
    if (message === undefined) {
      if (this.#polling.signal.aborted) return;
      this.#failures++;
    }
    const { code, statusCode } = cause as { readonly code?: string; readonly statusCode?: number };
    const failure = AwsSqsFailure.from(message === undefined ? 'ReceiveMessage' : 'keeping or deleting a message', {
      name: code ?? cause.name,
      code,
      $metadata: { httpStatusCode: statusCode },
    });
    const about = Array.isArray(message) ? message[0] : message;
    this.#tell('queue', about, null, { code: failure.name, message: failure.message });
  }

  /** A queue that cannot be reached is not asked without a pause. */
  async #pauseAfterFailures(): Promise<void> {
    if (this.#failures === 0) return;
    const { signal } = this.#polling;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(30_000, 500 * 2 ** Math.min(this.#failures, 10)));
      const giveUp = () => (clearTimeout(timer), resolve());
      if (signal.aborted) giveUp();
      else signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #tell(
    type: SqsWorkerFailure['type'],
    message: Message | undefined,
    retryAfterMs: number | null,
    error: SqsWorkerFailure['error'],
  ): void {
    try {
      this.#options.onFailure?.({ type, messageId: message?.MessageId ?? null, retryAfterMs, error });
    } catch {
      // The host's own affair.
    }
  }
}

function failureOf(error: { readonly code: string; readonly message: string }) {
  const { retryAfterMs: wait } = error as { readonly retryAfterMs?: unknown };
  const retryAfterMs = typeof wait === 'number' && wait >= 0 ? wait : null;
  return { error: { code: error.code, message: error.message }, retryAfterMs };
}

function backoffMs(deliveries: number): number {
  return Math.min(longestBackoffSeconds, firstPauseSeconds * 2 ** Math.max(0, deliveries - 1)) * 1_000;
}

/** Whether it is over within that time. */
async function isOver(done: Promise<void>, withinMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, withinMs, false);
  });
  const over = await Promise.race([done.then(() => true), late]);
  clearTimeout(timer);
  return over;
}
