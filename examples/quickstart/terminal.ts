import { styleText } from 'node:util';

/** How the story is told: headings, facts, refusals, tables. Colours go away by themselves where the terminal has none. */
const width = 96;

export function title(text: string): void {
  console.log(`\n${styleText(['bold', 'green'], text)}`);
}

let chapter = 0;

export function heading(text: string): void {
  chapter++;
  const label = ` ${chapter}. ${text} `;
  console.log(
    `\n${styleText('dim', '──')}${styleText('bold', label)}${styleText('dim', '─'.repeat(Math.max(0, width - label.length - 2)))}`,
  );
}

export function say(text: string): void {
  console.log(`   ${text}`);
}

export function done(text: string): void {
  console.log(` ${styleText('green', '✓')} ${text}`);
}

/** Something that was refused, as it should be. */
export function refused(what: string, error: { readonly code: string; readonly message: string }): void {
  console.log(` ${styleText('yellow', '✗')} ${what}`);
  console.log(`   ${styleText('yellow', error.code)}  ${error.message}`);
}

export function code(text: string): void {
  for (const line of text.split('\n')) console.log(`   ${styleText('cyan', line)}`);
}

/** Rows with aligned columns, the first row being their names. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => [...(row[column] ?? '')].length)));
  rows.forEach((row, index) => {
    const line = row.map((cell, column) => cell + ' '.repeat(widths[column]! - [...cell].length)).join('   ');
    console.log(`   ${index === 0 ? styleText('dim', line.trimEnd()) : line.trimEnd()}`);
  });
}
