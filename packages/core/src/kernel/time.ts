import * as z from 'zod';

/** A time that every storage can hold and compare with. */
export const time = z.date().min(new Date('1000-01-01T00:00:00.000Z')).max(new Date('9999-12-31T23:59:59.999Z'));

/** The same as a cursor says it: ISO 8601, to the millisecond. */
export const writtenTime = z.iso.datetime({ precision: 3 }).refine((at) => at >= '1000');
