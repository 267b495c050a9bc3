/**
 * A plan as SQL, in the three shapes in which it is sent:
 *
 * - step by step, in a transaction of as many round trips (MySQL);
 * - as one block of statements with a handler that undoes everything (MariaDB), which can be prepared and takes `?` like any statement;
 * - as one batch of statements, in which a guard ends the batch by failing (MySQL, over connections that allow several statements).
 */
import {
  assignmentsText,
  conditionsText,
  Placeholders,
  replacedColumns,
  rowsText,
  stepsOf,
  stepValues,
} from '@vivarium/sql';
import type { AnyOwners, Dialect, Plan, Step, Table } from '@vivarium/sql';

/** One step as a statement by itself. */
export interface StepText {
  readonly text: string;
  readonly table: Table;
  /** How to see whether it took effect: by its rows, by how many it changed, or not at all. */
  readonly effect: 'rows' | 'affected' | 'none';
}

/** A plan's texts. Each is made when it is first asked for: a server needs one of them. */
export interface PlanText {
  readonly steps: readonly StepText[];
  /** As a transaction of its own. */
  readonly block: string;
  /** Inside the host's transaction, behind a savepoint. */
  readonly savepointBlock: string;
  /** As a transaction of its own, in several statements. */
  readonly batch: string;
}

/** The savepoint in front of a plan, in the host's transaction. */
export const savepoint = 'vivarium_plan';

/** Texts by the names of plans: plans of one name differ in nothing but values. */
export class PlanTexts {
  readonly #known = new Map<string, PlanText>();
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  of(plan: Plan): PlanText {
    if (plan.manyShapes) return this.#make(plan);
    let known = this.#known.get(plan.name);
    if (known === undefined) {
      known = this.#make(plan);
      this.#known.set(plan.name, known);
    }
    return known;
  }

  #make(plan: Plan): PlanText {
    return planText(stepsOf(plan).map((step) => stepText(this.#dialect, step)));
  }

  /** The values of each step, in the order of its `?`. */
  valuesOf(plan: Plan): unknown[][] {
    return stepsOf(plan).map((step) => stepValues(this.#dialect, step));
  }
}

function planText(steps: readonly StepText[]): PlanText {
  const texts: { block?: string; savepointBlock?: string; batch?: string } = {};
  return {
    steps,
    get block() {
      return (texts.block ??= block(steps));
    },
    get savepointBlock() {
      return (texts.savepointBlock ??= savepointBlock(steps));
    },
    get batch() {
      return (texts.batch ??= batch(steps));
    },
  };
}

function stepText(dialect: Dialect, step: Step): StepText {
  const placeholders = new Placeholders(dialect);
  const table = dialect.table(step.table);
  switch (step.do) {
    case 'update': {
      const text = `UPDATE ${table} SET ${assignmentsText(step, placeholders)}, updates = updates + 1 WHERE ${conditionsText(step, placeholders)}`;
      return { text, table: step.table, effect: step.rows === 1 ? 'affected' : 'none' };
    }
    case 'delete': {
      const text =
        step.of === undefined
          ? `DELETE FROM ${table} WHERE ${conditionsText(step, placeholders)}`
          : ownedText(dialect, step, step.of, placeholders);
      return { text, table: step.table, effect: step.rows === 1 ? 'affected' : 'none' };
    }
    case 'hold': {
      // A plain read would see the row as it was when the transaction began. `LOCK IN SHARE MODE` is how both servers spell it.
      const lock = step.stays === 'ours' ? 'FOR UPDATE' : 'LOCK IN SHARE MODE';
      const text = `SELECT COUNT(*) AS held FROM ${table} WHERE ${conditionsText(step, placeholders)} ${lock}`;
      return { text, table: step.table, effect: 'rows' };
    }
    case 'insert': {
      const { columns, rows } = rowsText(step, placeholders);
      const text = `INSERT INTO ${table} (${columns}) VALUES ${rows.map((row) => `(${row})`).join(', ')}${replacing(step)}`;
      return { text, table: step.table, effect: 'none' };
    }
  }
}

/** With `VALUES()`, which MySQL would like to see replaced by a name for the new row: MariaDB knows no such name. */
function replacing(step: Step & { readonly do: 'insert' }): string {
  if (step.over === undefined) return '';
  return ` ON DUPLICATE KEY UPDATE ${replacedColumns(step)
    .map((column) => `${column} = VALUES(${column})`)
    .join(', ')}`;
}

/**
 * From the owners on: MariaDB would look at every row of the table, and lock it, if it were asked for those whose owner is in a list. Not from a derived table
 * of them, which could be locked FOR UPDATE: MySQL 9.7 merges that, and deletes the owners as well.
 */
function ownedText(
  dialect: Dialect,
  step: Step & { readonly do: 'delete' },
  of: AnyOwners,
  placeholders: Placeholders,
): string {
  const conditions = conditionsText(step, placeholders, 't');
  return `DELETE t FROM ${dialect.table(of.table)} o STRAIGHT_JOIN ${dialect.table(step.table)} t ON ${conditions} AND t.${of.column} = o.id
    WHERE ${conditionsText(of, placeholders, 'o')}`;
}

/** The same read of a held row, with its count in a variable. */
function holdInto(variable: string, { text }: StepText): string {
  return text.replace('SELECT COUNT(*) AS held', `SELECT COUNT(*) INTO ${variable}`);
}

const stopped = /vivarium stopped at step (\d+)$/;

/** The step that a block says it has stopped at. */
export function stepIn(message: string): number | null {
  const found = stopped.exec(message);
  return found === null ? null : Number(found[1]);
}

/** What a block says when it meets no transaction to work in, and when it finds that there is none any more. */
export const noTransaction = 'vivarium has no transaction here';
export const transactionLost = 'vivarium lost the transaction';

/**
 * MariaDB names every primary key PRIMARY and does not say whose, and a block has many statements. So it tells by the number of the error at which step
 * it met a duplicate: this, plus the step.
 */
const duplicateAt = 30_000;

/** The step at which a block met a duplicate. */
export function duplicateStepOf(errno: number): number | null {
  return errno >= duplicateAt && errno < duplicateAt + 1_000 ? errno - duplicateAt : null;
}

const variables = 'DECLARE vivarium_step, vivarium_held, vivarium_lost INT DEFAULT 0;';
const signal = (message: string) => `SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${message}';`;

function block(steps: readonly StepText[]): string {
  return `BEGIN NOT ATOMIC
${variables}
DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
DECLARE EXIT HANDLER FOR 1062 BEGIN ROLLBACK; RESIGNAL SET MYSQL_ERRNO = vivarium_step; END;
START TRANSACTION;
${guarded(steps)}
COMMIT;
END`;
}

/** After a deadlock the savepoint is gone with the transaction; the error that says so must not take the place of the first one. */
function savepointBlock(steps: readonly StepText[]): string {
  const undo = `ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint};`;
  return `BEGIN NOT ATOMIC
${variables}
IF @@in_transaction = 0 AND @@autocommit = 1 THEN ${signal(noTransaction)} END IF;
SAVEPOINT ${savepoint};
BEGIN
DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN
DECLARE CONTINUE HANDLER FOR 1305 SET vivarium_lost = 1;
${undo}
IF vivarium_lost = 1 THEN RESIGNAL SET MESSAGE_TEXT = '${transactionLost}'; END IF;
RESIGNAL;
END;
DECLARE EXIT HANDLER FOR 1062 BEGIN ${undo} RESIGNAL SET MYSQL_ERRNO = vivarium_step; END;
${guarded(steps)}
END;
RELEASE SAVEPOINT ${savepoint};
END`;
}

function guarded(steps: readonly StepText[]): string {
  return steps
    .flatMap((step, index) => {
      const stop = signal(`vivarium stopped at step ${index}`);
      switch (step.effect) {
        case 'rows':
          return [`${holdInto('vivarium_held', step)};`, `IF vivarium_held <> 1 THEN ${stop} END IF;`];
        case 'affected':
          return [at(index), `${step.text};`, `IF ROW_COUNT() <> 1 THEN ${stop} END IF;`];
        case 'none':
          return [at(index), `${step.text};`];
      }
    })
    .join('\n');
}

const at = (index: number) => `SET vivarium_step = ${duplicateAt + index};`;

/** What a batch's guard fails with: MySQL has no IF outside of procedures, but it does not add one to the largest number. */
export const guardFailed = 1690;

/** Ends a batch that was refused, and answers which guards had been passed. */
export const endBatch = 'ROLLBACK; SELECT @vivarium_passed AS passed';

/** The step whose guard has failed, when the guards up to this one were passed. */
export function guardAfter(steps: readonly StepText[], passed: number): number {
  return steps.findIndex((step, index) => index > passed && step.effect !== 'none');
}

function batch(steps: readonly StepText[]): string {
  const guard = (index: number, count: string) => [
    `SET @vivarium_guard = 9223372036854775807 + (${count} <> 1)`,
    `SET @vivarium_passed = ${index}`,
  ];
  return [
    'SET @vivarium_passed = -1',
    'START TRANSACTION',
    ...steps.flatMap((step, index) => {
      switch (step.effect) {
        case 'rows':
          return [holdInto('@vivarium_held', step), ...guard(index, '@vivarium_held')];
        case 'affected':
          return [step.text, ...guard(index, 'ROW_COUNT()')];
        case 'none':
          return [step.text];
      }
    }),
    'COMMIT',
  ].join('; ');
}
