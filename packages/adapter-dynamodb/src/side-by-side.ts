/** Waits for all of the work, also where a part of it fails: nothing goes on once the caller has been told. */
export async function sideBySide(work: readonly Promise<unknown>[]): Promise<void> {
  const ends = await Promise.allSettled(work);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
