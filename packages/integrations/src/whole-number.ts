import { may } from '@vivarium/core/storage';
import type { Complaint } from '@vivarium/core/storage';

/** An option that is a whole number of this range, where it is given. */
export function wholeNumber(least: number, most: number): Complaint {
  return may(
    (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
    `must be a whole number from ${least} to ${most}`,
  );
}
