/**
 * The diagrams of state machines in the docs are drawn from the tables that the code decides by. This fails when the two differ; `--write` draws
 * them anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import {
  acknowledgements,
  buildEvents,
  buildLifecycle,
  deploymentEvents,
  deploymentLifecycle,
  finalBuildStatuses,
  lifecycle,
  previewEvents,
  previewLifecycle,
  stateChangeTypes,
} from '../../packages/core/src/index.ts';
import { root } from './run.ts';

const diagrams: Readonly<Record<string, () => readonly string[]>> = {
  'docs/ephemeral.md': ofInstances,
  'docs/builds.md': ofBuilds,
  'docs/deployments.md': ofDeployments,
  'docs/previews.md': ofPreviews,
};

for (const [file, diagram] of Object.entries(diagrams)) {
  const text = readFileSync(join(root, file), 'utf8');
  const block = /```mermaid\n[\s\S]*?\n```/;
  if (!block.test(text)) throw new Error(`${file} has no diagram to compare`);
  const expected = text.replace(block, ['```mermaid', 'stateDiagram-v2', ...diagram(), '```'].join('\n'));
  if (process.argv.includes('--write')) {
    writeFileSync(join(root, file), expected);
  } else if (text !== expected) {
    console.error(`${file} is out of date: run \`node tooling/check/lifecycle-diagram.ts --write\``);
    process.exitCode = 1;
  }
}

/** Taking an instance down is possible from every settled state: drawn once, so that the rest can be seen. */
function ofInstances(): string[] {
  const lines = ['  [*] --> zero_state'];
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

function ofBuilds(): string[] {
  const lines = ['  [*] --> pending: start'];
  for (const event of buildEvents) {
    const { from, to, atLast } = buildLifecycle[event];
    for (const status of from) {
      lines.push(`  ${status} --> ${to}: ${event}`);
      if (atLast !== undefined) lines.push(`  ${status} --> ${atLast}: ${event} 100`);
    }
  }
  return [...lines, ...[...finalBuildStatuses].map((status) => `  ${status} --> [*]`)];
}

function ofDeployments(): string[] {
  const lines = ['  [*] --> created: start'];
  for (const event of deploymentEvents) {
    const { from, to, late } = deploymentLifecycle[event];
    const named = event === 'replaced' ? 'a later one succeeds' : event;
    for (const status of from) {
      lines.push(`  ${status} --> ${to}: ${named}`);
      if (late !== undefined) lines.push(`  ${status} --> ${late}: ${event}, too late`);
    }
  }
  return lines;
}

function ofPreviews(): string[] {
  const lines = previewEvents.flatMap((event) => {
    const { from, to } = previewLifecycle[event];
    return from.map((state) => `  ${state === 'none' ? '[*]' : state} --> ${to}: ${event}`);
  });
  return [...lines, '  deleted --> [*]'];
}
