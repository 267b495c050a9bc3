/**
 * Lets one writer at a time change the items that own a set (a project, the org's tree) within this process. Between processes the
 * conditions of the writes decide; queueing here saves the transactions that would only conflict with each other.
 */
export class OwnerQueue {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `work` when nobody else here works for any of these owners. */
  async exclusively<T>(owners: readonly string[], work: () => Promise<T>): Promise<T> {
    // All places are taken in one synchronous step, so two writers with several owners never wait for each other.
    const before = owners.flatMap((owner) => this.#last.get(owner) ?? []);
    let leave = (): void => undefined;
    const done = new Promise<void>((resolve) => (leave = resolve));
    for (const owner of owners) this.#last.set(owner, done);

    await Promise.all(before);
    try {
      return await work();
    } finally {
      for (const owner of owners) if (this.#last.get(owner) === done) this.#last.delete(owner);
      leave();
    }
  }
}
