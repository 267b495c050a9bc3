import type { Executor, Plan, Ran, Statement } from '@vivarium/sql';

import type { Send } from './connection.ts';
import { ranInto, toFailure } from './failure.ts';
import type { Doing } from './failure.ts';
import type { PlanStatements } from './plan-statement.ts';

/** Runs statements by themselves: each is its own transaction and one round trip. */
export class OwnExecutor implements Executor {
  readonly owns = true;
  readonly #send: Send;
  readonly #plans: PlanStatements;

  constructor(send: Send, plans: PlanStatements) {
    this.#send = send;
    this.#plans = plans;
  }

  async query(statement: Statement, values: unknown[]) {
    try {
      return await this.#send(statement.text, values, statement.id);
    } catch (thrown) {
      throw toFailure(thrown, statement.effect === 'reads' ? 'read' : 'write');
    }
  }

  async run(plan: Plan): Promise<Ran> {
    try {
      return await runOnce(this.#send, this.#plans, plan);
    } catch (thrown) {
      return recognised(thrown, 'write');
    }
  }
}

/**
 * Runs statements inside the host's transaction. A plan gets a savepoint, so that one that is refused leaves the transaction usable; there is
 * nothing to retry in, a conflict is the host's to answer.
 */
export class BorrowedExecutor implements Executor {
  readonly owns = false;
  readonly #send: Send;
  readonly #plans: PlanStatements;
  readonly #turn: Turn;

  constructor(send: Send, plans: PlanStatements, turn: Turn) {
    this.#send = send;
    this.#plans = plans;
    this.#turn = turn;
  }

  query(statement: Statement, values: unknown[]) {
    return this.#turn(async () => {
      try {
        return await this.#send(statement.text, values, statement.id);
      } catch (thrown) {
        throw toFailure(thrown, 'transaction');
      }
    });
  }

  run(plan: Plan): Promise<Ran> {
    return this.#turn(async () => {
      try {
        await this.#send('SAVEPOINT vivarium');
      } catch (thrown) {
        throw toFailure(thrown, 'transaction');
      }
      try {
        const ran = await runOnce(this.#send, this.#plans, plan);
        await this.#send('RELEASE SAVEPOINT vivarium');
        return ran;
      } catch (thrown) {
        await this.#undo(thrown);
        return recognised(thrown, 'transaction');
      }
    });
  }

  async #undo(reason: unknown): Promise<void> {
    try {
      await this.#send('ROLLBACK TO SAVEPOINT vivarium');
      await this.#send('RELEASE SAVEPOINT vivarium');
    } catch {
      // The transaction is beyond repair, and the first error says why.
      throw toFailure(reason, 'transaction');
    }
  }
}

async function runOnce(send: Send, plans: PlanStatements, plan: Plan): Promise<Ran> {
  const statement = plans.of(plan);
  const name = plan.manyShapes ? undefined : statement.id;
  const [row] = await send(statement.text, plans.valuesOf(plan), name);
  const step = Number(row!['stopped']);
  return step === -1 ? { as: 'done' } : { as: 'stopped', step };
}

function recognised(thrown: unknown, doing: Doing): Ran {
  const ran = ranInto(thrown, doing);
  if (ran === null) throw toFailure(thrown, doing);
  return ran;
}

/** Runs one piece of work after the other. */
export type Turn = <T>(work: () => Promise<T>) => Promise<T>;

const turns = new WeakMap<object, Turn>();

/**
 * The queue of a transaction, the same for all that work in it. Two writes at the same time would put their savepoints into one another, and
 * a read between an error and its rollback would fail for no reason of its own.
 */
export function turnOf(transaction: object): Turn {
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
