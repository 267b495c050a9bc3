/** The longest a template, a set of resolved variables or an output may be, where the caller sets no other bound: 1 MiB of UTF-8. */
export const ONE_MEBIBYTE = 1_048_576;

/** Whether a text takes more than `maximum` bytes as UTF-8. Looks at the characters only where its length does not tell. */
export function exceedsBytes(text: string, maximum: number): boolean {
  if (text.length * 3 <= maximum) return false;
  return text.length > maximum || utf8Length(text) > maximum;
}

/** How many bytes a well-formed text takes as UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // A surrogate is half of four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** Whether a text holds no lone surrogate, so that it has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
