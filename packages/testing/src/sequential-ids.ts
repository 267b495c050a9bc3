import type { IdSource } from '@vivarium/core';

/**
 * Ids that count: the same series gives the same ids in every run, in their order. `series` (0–4,294,967,295) keeps several sources apart
 * whose ids end up in one database.
 *
 * @example
 * sequentialIds(7).next() // '00000000-0007-7000-8000-000000000001'
 */
export function sequentialIds(series = 0): IdSource {
  if (!Number.isInteger(series) || series < 0 || series > 0xffff_ffff) throw new RangeError(`not a series: ${series}`);
  const hex = series.toString(16).padStart(8, '0');
  const prefix = `0000${hex.slice(0, 4)}-${hex.slice(4)}-7000-8000-`;
  let count = 0;
  return { next: () => `${prefix}${(++count).toString(16).padStart(12, '0')}` };
}
