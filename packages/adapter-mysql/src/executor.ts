import { StorageFailure } from '@vivarium/core/storage';
import type { Executor, Plan, Ran, Row, Statement, Table } from '@vivarium/sql';

import type { Answer, Line } from './connection.ts';
import type { Flavour } from './dialect.ts';
import {
  endsTransaction,
  errnoOf,
  isConflict,
  isMissingSavepoint,
  messageOf,
  duplicateEntry,
  ranInto,
  toFailure,
} from './failure.ts';
import type { Doing } from './failure.ts';
import { introduce } from './introduction.ts';
import { inlined } from './literal.ts';
import {
  duplicateStepOf,
  endBatch,
  guardAfter,
  guardFailed,
  noTransaction,
  savepoint,
  stepIn,
  transactionLost,
} from './plan-text.ts';
import type { PlanText, PlanTexts } from './plan-text.ts';
import type { Lend } from './pool.ts';

/** Tries of a statement that others got in the way of. Plans are tried again by whoever made them. */
const maximumTries = 8;

/** Runs statements by themselves, over a pool: each read is one round trip, each plan a transaction. */
export class OwnExecutor implements Executor {
  readonly owns = true;
  readonly #lend: Lend;
  readonly #plans: PlanTexts;
  readonly #prefix: string;
  readonly #batches: boolean;

  constructor(lend: Lend, plans: PlanTexts, prefix: string, batches: boolean) {
    this.#lend = lend;
    this.#plans = plans;
    this.#prefix = prefix;
    this.#batches = batches;
  }

  query({ text, effect }: Statement, values: unknown[]): Promise<readonly Row[]> {
    const doing = effect === 'reads' ? 'read' : 'write';
    return this.#lend(async ({ line }) => {
      for (let tries = 1; ; tries++) {
        try {
          return rowsOf(await line.execute(text, values));
        } catch (thrown) {
          if (!isConflict(thrown) || tries === maximumTries) throw toFailure(thrown, doing);
          await pause(tries);
        }
      }
    });
  }

  run(plan: Plan): Promise<Ran> {
    const text = this.#plans.of(plan);
    const values = this.#plans.valuesOf(plan);
    return this.#lend(({ line, flavour }) => {
      // A statement by itself is a transaction by itself.
      if (text.steps.length === 1) return this.#runAlone(line, text, values);
      // In one piece it would have to be prepared for this once, and be larger than a packet may be.
      if (plan.manyShapes) return this.#runSteps(line, text, values);
      if (flavour === 'mariadb') return this.#runBlock(line, text, values);
      return this.#batches ? this.#runBatch(line, text, values) : this.#runSteps(line, text, values);
    });
  }

  async #runAlone(line: Line, { steps }: PlanText, values: readonly unknown[][]): Promise<Ran> {
    const ran = await tryStep(line, steps, values, 0, this.#prefix, 'write');
    return ran ?? { as: 'done' };
  }

  async #runSteps(line: Line, { steps }: PlanText, values: readonly unknown[][]): Promise<Ran> {
    try {
      await line.query('START TRANSACTION');
    } catch (thrown) {
      throw toFailure(thrown, 'step');
    }
    for (const index of steps.keys()) {
      const ended = await tryStep(line, steps, values, index, this.#prefix, 'step');
      if (ended === null) continue;
      // A lock timeout, too, has left the transaction open.
      await rollBack(line);
      return ended;
    }
    try {
      await line.query('COMMIT');
      return { as: 'done' };
    } catch (thrown) {
      // A cluster finds out about conflicts when it commits.
      return recognised(thrown, this.#prefix, null, 'write');
    }
  }

  async #runBlock(line: Line, text: PlanText, values: readonly unknown[][]): Promise<Ran> {
    try {
      await line.execute(text.block, values.flat());
      return { as: 'done' };
    } catch (thrown) {
      return endOfBlock(thrown, text, this.#prefix, 'write');
    }
  }

  async #runBatch(line: Line, { steps, batch }: PlanText, values: readonly unknown[][]): Promise<Ran> {
    try {
      await line.query(inlined(batch, values.flat()));
      return { as: 'done' };
    } catch (thrown) {
      if (errnoOf(thrown) === null) throw toFailure(thrown, 'write');
      const { rows } = await rollBack(line, endBatch);
      if (errnoOf(thrown) === guardFailed)
        return { as: 'stopped', step: guardAfter(steps, Number(rows[0]!['passed'])) };
      return recognised(thrown, this.#prefix, null, 'write');
    }
  }
}

/**
 * Runs statements inside the host's transaction. A plan gets a savepoint, so that one that is refused leaves the transaction usable; there is
 * nothing to retry in, a conflict is the host's to answer.
 */
export class BorrowedExecutor implements Executor {
  readonly owns = false;
  readonly #line: Line;
  readonly #plans: PlanTexts;
  readonly #prefix: string;
  readonly #turn: Turn;

  constructor(line: Line, plans: PlanTexts, prefix: string) {
    this.#line = line;
    this.#plans = plans;
    this.#prefix = prefix;
    this.#turn = turnOf(line.identity);
  }

  /**
   * The host's transaction may see the database as it was when it first looked. Why a guard failed, which had seen the present, can
   * only be read with locks, which see it, too.
   */
  query({ name, text }: Statement, values: unknown[]): Promise<readonly Row[]> {
    const current = name === 'diagnosis' ? `${text} LOCK IN SHARE MODE` : text;
    return this.#turn(async () => {
      await this.#introduce();
      try {
        return rowsOf(await this.#line.execute(current, values));
      } catch (thrown) {
        throw toFailure(thrown, 'transaction');
      }
    });
  }

  run(plan: Plan): Promise<Ran> {
    const text = this.#plans.of(plan);
    const values = this.#plans.valuesOf(plan);
    return this.#turn(async () =>
      (await this.#introduce()) === 'mariadb' && !plan.manyShapes
        ? this.#runBlock(text, values)
        : this.#runSteps(text, values),
    );
  }

  async #introduce(): Promise<Flavour> {
    try {
      return await introduce(this.#line, 'transaction');
    } catch (thrown) {
      throw toFailure(thrown, 'transaction');
    }
  }

  async #runSteps({ steps }: PlanText, values: readonly unknown[][]): Promise<Ran> {
    await this.#setSavepoint();
    for (const index of steps.keys()) {
      let ended: Ran | null;
      try {
        ended = await tryStep(this.#line, steps, values, index, this.#prefix, 'transaction');
      } catch (thrown) {
        await this.#undo(thrown as StorageFailure);
        throw thrown;
      }
      if (ended === null) continue;
      await this.#undo(ended.as === 'conflict' ? ended.failure : null);
      return ended;
    }
    await this.#plainly(`RELEASE SAVEPOINT ${savepoint}`);
    return { as: 'done' };
  }

  /** Outside of a transaction a savepoint is taken without a word, and every step would commit by itself. */
  async #setSavepoint(): Promise<void> {
    const { inTransaction } = await this.#plainly(`SAVEPOINT ${savepoint}`);
    if (inTransaction === true) return;
    if (inTransaction === false) throw notInTransaction();
    // Over Kysely it cannot be seen. Going back to a savepoint that was not set is an error.
    try {
      await this.#line.query(`ROLLBACK TO SAVEPOINT ${savepoint}`);
    } catch (thrown) {
      throw isMissingSavepoint(thrown) ? notInTransaction() : toFailure(thrown, 'transaction');
    }
  }

  async #plainly(text: string): Promise<Answer> {
    try {
      return await this.#line.query(text);
    } catch (thrown) {
      throw toFailure(thrown, 'transaction', { lost: isMissingSavepoint(thrown) });
    }
  }

  /** Takes back what the steps have done. What cannot be taken back, the server has already thrown away with the whole transaction. */
  async #undo(reason: StorageFailure | null): Promise<void> {
    if (reason?.transaction === 'lost') throw reason;
    try {
      await this.#line.query(`ROLLBACK TO SAVEPOINT ${savepoint}`);
      await this.#line.query(`RELEASE SAVEPOINT ${savepoint}`);
    } catch (thrown) {
      throw toFailure(reason?.cause ?? thrown, 'transaction', { lost: true });
    }
  }

  async #runBlock(text: PlanText, values: readonly unknown[][]): Promise<Ran> {
    try {
      await this.#line.execute(text.savepointBlock, values.flat());
      return { as: 'done' };
    } catch (thrown) {
      const message = messageOf(thrown);
      if (message === noTransaction) throw notInTransaction();
      if (message === transactionLost || endsTransaction(thrown))
        throw toFailure(thrown, 'transaction', { lost: true });
      try {
        return endOfBlock(thrown, text, this.#prefix, 'transaction');
      } catch (failure) {
        // Who is killed between two statements does not come to its handler.
        await this.#line.query(`ROLLBACK TO SAVEPOINT ${savepoint}`).catch(() => undefined);
        throw failure;
      }
    }
  }
}

/** Sends one step; answers how the plan has ended with it, or null when it goes on. */
async function tryStep(
  line: Line,
  steps: PlanText['steps'],
  values: readonly unknown[][],
  index: number,
  prefix: string,
  doing: Doing,
): Promise<Ran | null> {
  const { text, table, effect } = steps[index]!;
  try {
    const { rows, affected } = await line.execute(text, values[index]!);
    const stopped = (effect === 'affected' && affected !== 1) || (effect === 'rows' && Number(rows[0]!['held']) !== 1);
    return stopped ? { as: 'stopped', step: index } : null;
  } catch (thrown) {
    return recognised(thrown, prefix, table, doing);
  }
}

/** A block's handler has already undone everything. */
function endOfBlock(thrown: unknown, { steps }: PlanText, prefix: string, doing: Doing): Ran {
  const step = stepIn(messageOf(thrown));
  if (step !== null) return { as: 'stopped', step };
  const duplicate = duplicateStepOf(errnoOf(thrown) ?? 0);
  if (duplicate === null) return recognised(thrown, prefix, null, doing);
  return recognised(
    { errno: duplicateEntry, message: messageOf(thrown) },
    prefix,
    steps[duplicate]?.table ?? null,
    doing,
  );
}

function recognised(thrown: unknown, prefix: string, table: Table | null, doing: Doing): Ran {
  const ran = ranInto(thrown, prefix, table, doing);
  if (ran === null) throw toFailure(thrown, doing);
  return ran;
}

async function rollBack(line: Line, text = 'ROLLBACK'): Promise<Answer> {
  try {
    return await line.query(text);
  } catch (thrown) {
    // The connection is gone, and what it had not committed with it.
    throw toFailure(thrown, 'step');
  }
}

/** Deletions answer with how many rows they took. */
function rowsOf({ rows, affected }: Answer): readonly Row[] {
  return affected === null ? rows : [{ deleted: affected }];
}

function notInTransaction(): StorageFailure {
  return new StorageFailure('within() was given a connection that is not in a transaction', {
    retryable: false,
    outcome: 'none',
  });
}

/** Full jitter: anything up to 10, 20, 40, … 400 milliseconds. */
function pause(tries: number): Promise<void> {
  const milliseconds = Math.random() * Math.min(400, 5 * 2 ** tries);
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Runs one piece of work after the other. */
type Turn = <T>(work: () => Promise<T>) => Promise<T>;

const turns = new WeakMap<object, Turn>();

/**
 * The queue of a transaction, the same for all that work in it. Two writes at the same time would put their savepoints into one another.
 */
function turnOf(transaction: object): Turn {
  let turn = turns.get(transaction);
  if (turn === undefined) {
    let last: Promise<unknown> = Promise.resolve();
    turn = (work) => {
      const done = last.then(work);
      last = done.catch(() => undefined);
      return done;
    };
    turns.set(transaction, turn);
  }
  return turn;
}
