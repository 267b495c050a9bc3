import type { CommandQueue, QueueMessage, Vivarium } from '@vivarium/core';

/** What became of one try at a message. */
export interface Try {
  readonly message: QueueMessage;
  /** `null` when it succeeded. */
  readonly error: { readonly code: string; readonly message: string; readonly retryAfterMs: number | null } | null;
  readonly worked: string | null;
}

/** A queue that is worked off when the test says so: what fails is tried again at once, and how long it should have waited is noted. */
export class QueueByHand implements CommandQueue {
  readonly sent: QueueMessage[] = [];
  readonly tries: Try[] = [];
  readonly #waiting: QueueMessage[] = [];

  async send(message: QueueMessage): Promise<void> {
    this.sent.push(message);
    this.#waiting.push(message);
  }

  async workOff(vivarium: Vivarium, atMost = 50): Promise<void> {
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      if (this.tries.length >= atMost) throw new Error('the queue does not come to an end');
      const { previews } = vivarium.system(message.orgId);
      const handled = await previews.handle(message);
      if (handled.isOk()) this.tries.push({ message, error: null, worked: handled.value });
      else {
        const { code, message: text } = handled.error;
        const retryAfterMs = 'retryAfterMs' in handled.error ? handled.error.retryAfterMs : null;
        this.tries.push({ message, error: { code, message: text, retryAfterMs }, worked: null });
        this.#waiting.push(message);
      }
    }
  }
}
