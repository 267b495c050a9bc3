const earliest = Date.UTC(1000, 0, 1);
const latest = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * A time that every engine can read. What is stored always is one; a caller may filter by any that JavaScript has, and what lies outside has
 * nothing stored beyond it.
 */
export function storableTime(time: Date): Date {
  const milliseconds = time.getTime();
  return milliseconds < earliest ? new Date(earliest) : milliseconds > latest ? new Date(latest) : time;
}

let written = new Date(Number.NaN);
let text = '';

/** The same as ISO 8601. The times of one write are mostly one time, and writing one out takes a hundred times as long as seeing that. */
export function isoTime(time: Date): string {
  if (time.getTime() !== written.getTime()) {
    written = new Date(time);
    text = storableTime(time).toISOString();
  }
  return text;
}
