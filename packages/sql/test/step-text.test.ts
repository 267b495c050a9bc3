import { expect, test } from 'vitest';

import { conditionsText, Placeholders, stepValues } from '../src/index.ts';
import type { Dialect, Step } from '../src/index.ts';

const dialect = {
  placeholder: (position: number) => `$${position}`,
  bind: (_type: unknown, value: unknown) => value,
} as unknown as Dialect;

test.for(['present', 'IS NOT NULL', '<>', 'null'])(
  'an org may be called "%s": a text is compared, never obeyed',
  (orgId) => {
    const step: Step = {
      do: 'delete',
      table: 'journal_queue',
      where: { org_id: orgId, parked_at: { present: true } },
      rows: 'any',
      else: 'gone',
    };
    expect(conditionsText(step, new Placeholders(dialect))).toBe('org_id = $1 AND parked_at IS NOT NULL');
    expect(stepValues(dialect, step)).toEqual([orgId]);
  },
);
