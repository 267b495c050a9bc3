/** A body that was read to its end, or why it was not. */
export type ReadBody = { readonly text: string } | { readonly fault: 'too long' | 'too late' | 'not UTF-8' };

/**
 * Reads a body, but not beyond its bound and not after the signal. Rejects when it breaks off. With `keepMark`, the text has every byte of the body, a byte order mark
 * included.
 */
export async function readText(
  body: ReadableStream<Uint8Array> | null,
  {
    maximumBytes,
    signal,
    keepMark = false,
  }: { readonly maximumBytes: number; readonly signal: AbortSignal; readonly keepMark?: boolean },
): Promise<ReadBody> {
  if (body === null) return { text: '' };
  const reader = body.getReader();
  const giveUp = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    for (let bytes = 0; ;) {
      const { done, value } = await reader.read();
      if (signal.aborted) return { fault: 'too late' };
      if (done) return decode(Buffer.concat(chunks), keepMark);
      bytes += value.byteLength;
      if (bytes > maximumBytes) {
        giveUp();
        return { fault: 'too long' };
      }
      chunks.push(value);
    }
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function decode(bytes: Uint8Array, keepMark: boolean): ReadBody {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: keepMark }).decode(bytes) };
  } catch {
    return { fault: 'not UTF-8' };
  }
}
