/** A line longer than this is cut: nobody's output is worth running out of memory. */
const longestLine = 65_536;

/** The lines in chunks of text or bytes, however those are cut: in the middle of a line, or of a character. */
export async function* linesOf(output: AsyncIterable<string | Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let open = '';
  for await (const chunk of output) {
    const parts = (open + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))).split('\n');
    open = parts.pop()!.slice(0, longestLine);
    for (const line of parts) yield line.replace(/\r$/, '').slice(0, longestLine);
  }
  const last = open + decoder.decode();
  if (last !== '') yield last;
}
