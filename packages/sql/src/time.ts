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
