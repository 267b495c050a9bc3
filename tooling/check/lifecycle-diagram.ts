/**
 * The diagram in `docs/ephemeral.md` is drawn from the table that the code decides by. This fails when the two differ; `--write` draws it
 * anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';
import { acknowledgements, lifecycle, stateChangeTypes } from '../../packages/core/src/index.ts';
import { root } from './run.ts';

const file = join(root, 'docs/ephemeral.md');
const text = readFileSync(file, 'utf8');
const block = /```mermaid\n[\s\S]*?\n```/;
const expected = text.replace(block, ['```mermaid', ...diagram(), '```'].join('\n'));

if (!block.test(text)) throw new Error(`${relative(root, file)} has no diagram to compare`);
if (process.argv.includes('--write')) {
  writeFileSync(file, expected);
} else if (text !== expected) {
  console.error(`${relative(root, file)} is out of date: run \`node tooling/check/lifecycle-diagram.ts --write\``);
  process.exit(1);
}

/** Taking an instance down is possible from every settled state: drawn once, so that the rest can be seen. */
function diagram(): string[] {
  const lines = ['stateDiagram-v2', '  [*] --> zero_state'];
  for (const change of stateChangeTypes) {
    const { from, pending, passed, failed } = lifecycle[change];
    if (change === 'deprovisioning') lines.push(`  any_settled_state --> ${pending}: ${change}`);
    else lines.push(...from.map((state) => `  ${state} --> ${pending}: ${change}`));
    const back = passed === 'sleptFrom' ? ['ready_to_use', 'in_use'] : [passed];
    lines.push(...back.map((state) => `  ${pending} --> ${state}: passed`), `  ${pending} --> ${failed}: failed`);
  }
  for (const [state, leads] of Object.entries(acknowledgements))
    lines.push(`  ${state} --> ${leads}: acknowledgeCleanUp`);
  return [...lines, '  destroyed --> [*]', '  acknowledged_cleanup --> [*]'];
}
