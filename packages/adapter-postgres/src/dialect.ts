import { isoTime } from '@vivarium/sql';
import type { ColumnType, Dialect } from '@vivarium/sql';

/** Without a cast, a parameter in a chain of CTEs has no type to take from its surroundings. */
const casts: Record<ColumnType, string> = {
  uuid: 'uuid',
  text: 'text',
  integer: 'int4',
  bigint: 'int8',
  // 0 or 1: pg would hand true and false to a host's own serialisation.
  boolean: 'int4::boolean',
  time: 'timestamptz',
  json: 'jsonb',
};

export function postgresDialect(schema: string): Dialect {
  return {
    table: (name) => `${quoted(schema)}.${name}`,

    readBy: () => '',

    placeholder: (position, type) => `$${position}::${casts[type]}`,
    positional: true,
    bind: (_type, value) => (value instanceof Date ? isoTime(value) : value),

    asText(type, expression) {
      switch (type) {
        case 'time':
          return `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
        case 'boolean':
          return `(${expression})::int4::text`;
        default:
          return `(${expression})::text`;
      }
    },

    jsonList(fields) {
      const pairs = Object.entries(fields).map(([name, expression]) => `'${name}', ${expression}`);
      return `json_agg(json_build_object(${pairs.join(', ')}))::text`;
    },

    attemptFigures: ({ from, where }) => `SELECT s.state, count(*) AS attempts,
      count(*) FILTER (WHERE s.status = 'completed') AS completed, count(*) FILTER (WHERE s.status = 'failed') AS failed,
      percentile_disc(0.50) WITHIN GROUP (ORDER BY s.duration_ms) FILTER (WHERE s.status = 'completed') AS p50,
      percentile_disc(0.95) WITHIN GROUP (ORDER BY s.duration_ms) FILTER (WHERE s.status = 'completed') AS p95
      FROM ${from} WHERE ${where} GROUP BY s.state`,

    later: (time, milliseconds) => `(${time} + ${milliseconds} * interval '1 millisecond')`,

    after: ([a, b], [x, y]) => `(${a}, ${b}) > (${x}, ${y})`,
    before: ([a, b], [x, y]) => `(${a}, ${b}) < (${x}, ${y})`,

    contains: (text, part) => `strpos(${text}, ${part}) > 0`,
    hasVariable: (column, key) => `${column} @> jsonb_build_array(jsonb_build_object('key', ${key}))`,

    /** Asks again of each row what it was chosen for: somebody may have changed it while this waited for it. */
    deletingSome: (table, { key, where, order, limit }) =>
      `WITH d AS (
        DELETE FROM ${table} WHERE (${key.join(', ')}) IN (
          SELECT ${key.join(', ')} FROM ${table} WHERE ${where} ORDER BY ${order} LIMIT ${limit}
        ) AND ${where} RETURNING 1
      ) SELECT count(*)::text AS deleted FROM d`,

    deleting: {
      /** All of them see the database as it was before the first. */
      together(deletions) {
        const last = deletions.length - 1;
        const chain = deletions.map((deletion, index) => `d${index} AS (${deletion} RETURNING 1)`).join(', ');
        return `WITH ${chain} SELECT count(*)::text AS deleted FROM d${last}`;
      },
    },
  };
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

export function quotedText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
