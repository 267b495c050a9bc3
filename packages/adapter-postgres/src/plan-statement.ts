/**
 * A plan as one statement, so that it is one round trip and one transaction:
 *
 *     WITH s0 AS MATERIALIZED (UPDATE … RETURNING 1),
 *          s1 AS MATERIALIZED (SELECT 1 FROM … WHERE … AND EXISTS (SELECT FROM s0) FOR KEY SHARE),
 *          s2 AS MATERIALIZED (INSERT … SELECT … WHERE EXISTS (SELECT FROM s1) RETURNING 1)
 *     SELECT CASE WHEN NOT EXISTS (SELECT FROM s0) THEN 0 WHEN NOT EXISTS (SELECT FROM s1) THEN <raise 1> ELSE -1 END
 *
 * PostgreSQL runs data-modifying CTEs in an order of its own, so each step asks whether the one before took effect. That question has nothing
 * to do with the step's rows, so it is answered before the first of them is looked for, let alone locked, and once: a row that changed
 * while the step waited for its lock is looked at again, the answer is not. This is what makes the steps take effect, and
 * lock, in their order. A step of any number of rows, which may be none, is asked to be done, and the one before it whether it took effect.
 *
 * The second sub-statement cannot see what the first has written, which is why a plan never touches a row twice.
 */
import {
  assignmentsText,
  conditionsText,
  Placeholders,
  replacedColumns,
  rowsText,
  statement,
  stepsOf,
  stepValues,
} from '@vivarium/sql';
import type { AnyOwners, Dialect, Plan, Statement, Step } from '@vivarium/sql';

/** Statements by the names of plans: a plan's text is made when the first of its name comes by. */
export class PlanStatements {
  readonly #statements = new Map<string, Statement>();
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  of(plan: Plan): Statement {
    if (plan.manyShapes) return planStatement(this.#dialect, plan);
    let known = this.#statements.get(plan.name);
    if (known === undefined) {
      known = planStatement(this.#dialect, plan);
      this.#statements.set(plan.name, known);
    }
    return known;
  }

  valuesOf(plan: Plan): unknown[] {
    const values: unknown[] = [];
    for (const step of stepsOf(plan)) stepValues(this.#dialect, step, values);
    return values;
  }
}

/** What the raised error says, followed by the step's number and by what is no number. */
const raised = /vivarium stopped at step (\d+)!/;

/** The step that a raised error is about. */
export function stepIn(message: string): number | null {
  const found = raised.exec(message);
  return found === null ? null : Number(found[1]);
}

export function planStatement(dialect: Dialect, plan: Plan): Statement {
  const placeholders = new Placeholders(dialect);
  const steps = stepsOf(plan);
  const chain = steps.map(
    (step, index) => `s${index} AS MATERIALIZED (${stepText(dialect, step, placeholders, gateOf(steps, index))})`,
  );
  const outcomes = steps.flatMap((step, index) =>
    mayStop(step) ? [`WHEN NOT EXISTS (SELECT FROM s${index}) THEN ${stop(index)}`] : [],
  );
  const outcome = outcomes.length === 0 ? '-1' : `CASE ${outcomes.join(' ')} ELSE -1 END`;
  return statement(
    plan.name,
    `WITH ${chain.join(', ')} SELECT ${outcome} AS stopped`,
    placeholders.parameters,
    'writes',
  );
}

const strengths = { undeleted: 'KEY SHARE', unchanged: 'SHARE', ours: 'UPDATE' } as const;

/** What a step asks first: that everything before it was done. */
function gateOf(steps: readonly Step[], index: number): string | null {
  const before = steps[index - 1];
  if (before === undefined) return null;
  const name = `s${index - 1}`;
  if (!('rows' in before) || before.rows !== 'any') return `EXISTS (SELECT FROM ${name})`;
  // Counting looks at all of them, so that all are done.
  return [`(SELECT count(*) FROM ${name}) >= 0`, gateOf(steps, index - 1)].filter(Boolean).join(' AND ');
}

/** An insert takes effect or fails. */
function mayStop(step: Step): boolean {
  return step.do === 'hold' || ((step.do === 'update' || step.do === 'delete') && step.rows === 1);
}

/** Before step 0 nothing was done, so its number is an answer. Later, everything has to be undone: only an error does that inside of a statement. */
function stop(index: number): string {
  if (index === 0) return '0';
  // Counted, so that it is no constant: a cast of constants is tried, and fails, when the statement is planned.
  return `('vivarium stopped at step ${index}!' || (SELECT count(*) FROM s0))::int4`;
}

function stepText(dialect: Dialect, step: Step, placeholders: Placeholders, gate: string | null): string {
  const table = dialect.table(step.table);
  const gated = (conditions: string) => (gate === null ? conditions : `${conditions} AND ${gate}`);

  switch (step.do) {
    case 'update': {
      const assignments = assignmentsText(step, placeholders);
      return `UPDATE ${table} SET ${assignments} WHERE ${gated(conditionsText(step, placeholders))} RETURNING 1`;
    }
    case 'delete': {
      const conditions = conditionsText(step, placeholders);
      const owners = step.of === undefined ? '' : ` AND ${ownersText(dialect, step.of, placeholders)}`;
      return `DELETE FROM ${table} WHERE ${gated(conditions + owners)} RETURNING 1`;
    }
    case 'hold': {
      return `SELECT 1 FROM ${table} WHERE ${gated(conditionsText(step, placeholders))} FOR ${strengths[step.stays]}`;
    }
    case 'insert': {
      const { columns, rows } = rowsText(step, placeholders);
      const source = `VALUES ${rows.map((row) => `(${row})`).join(', ')}`;
      const gatedSource = gate === null ? source : `SELECT * FROM (${source}) AS v WHERE ${gate}`;
      return `INSERT INTO ${table} (${columns}) ${gatedSource}${replacing(step)} RETURNING 1`;
    }
  }
}

function replacing(step: Step & { readonly do: 'insert' }): string {
  if (step.over === undefined) return '';
  const columns = replacedColumns(step).map((column) => `${column} = EXCLUDED.${column}`);
  return ` ON CONFLICT (${step.over.join(', ')}) DO UPDATE SET ${columns.join(', ')}`;
}

function ownersText(dialect: Dialect, of: AnyOwners, placeholders: Placeholders): string {
  return `${of.column} IN (SELECT id FROM ${dialect.table(of.table)} WHERE ${conditionsText(of, placeholders)})`;
}
