import type { Making } from './harness.ts';

/** A pool of a host that has set everything that can be set, for reasons of its own. */
export const hostile: Making = {
  host: {
    timezone: '+05:30',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    decimalNumbers: true,
    rowsAsArray: true,
    namedPlaceholders: true,
    stringifyObjects: true,
    jsonStrings: false,
    maxPreparedStatements: 50,
    typeCast: (field, next) => (field.type.includes('LONG') ? next() === 1 : field.string()?.toUpperCase()),
    // Rows that an update has found and left as they were are not reported.
    flags: ['-FOUND_ROWS'],
  },
  onConnection: [
    `SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE,HIGH_NOT_PRECEDENCE,ONLY_FULL_GROUP_BY,PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION'`,
    `SET SESSION time_zone = '-08:00', lc_messages = 'de_DE', lc_time_names = 'ar_SA'`,
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
  ],
};
