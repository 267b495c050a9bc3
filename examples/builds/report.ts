import { styleText } from 'node:util';

import { unwrap } from '@vivarium/core';
import type { Builds, BuildStats } from '@vivarium/core';

import type { ExampleCatalog } from './catalog.ts';

const width = 32;

/** What the figures have to tell, in a terminal. */
export async function report(builds: Builds, { platforms }: ExampleCatalog): Promise<void> {
  const all = unwrap(await builds.stats());

  heading(`Success: ${percent(all)}  ${counts(all)}`);
  for (const { id, displayName } of platforms) {
    const { successRate, ...stats } = unwrap(await builds.stats({ platformId: id }));
    say(`${displayName.padEnd(16)} ${bar(successRate ?? 0, 'green')} ${percent({ ...stats, successRate })}`);
  }

  heading(`How long milestones take: half of them ${styleText('blue', '█')}, 95 of 100 ${styleText('blue', '░')}`);
  const longest = Math.max(...all.states.map(({ p95Ms }) => p95Ms ?? 0));
  for (const { state, p50Ms, p95Ms, failed } of all.states) {
    if (p50Ms === null || p95Ms === null) continue;
    const half = Math.round((p50Ms / longest) * width);
    const most = Math.round((p95Ms / longest) * width);
    const bars = styleText('blue', '█'.repeat(half) + '░'.repeat(most - half)) + ' '.repeat(width - most);
    const wrong = failed === 0 ? '' : styleText('red', `${failed} failed`);
    say(`${String(state).padStart(3)} ${bars} ${minutes(p50Ms)} ${minutes(p95Ms)}  ${wrong}`);
  }

  heading('What goes wrong');
  const worst = all.failures[0]?.count ?? 1;
  for (const { component, failureType, count, unresolved } of all.failures) {
    const what = `${component ?? '?'}: ${failureType}`;
    say(`${what.padEnd(30)} ${bar(count / worst, 'red')} ${String(count).padStart(3)}, ${unresolved} unresolved`);
  }
  if (all.approximate) say('(durations are read off a histogram, and at most 1 % off)');
}

function heading(text: string): void {
  console.log(`\n     ${styleText('bold', text)}`);
}

function say(text: string): void {
  console.log(`     ${text}`);
}

function bar(share: number, colour: 'green' | 'red'): string {
  const filled = Math.round(share * width);
  return styleText(colour, '█'.repeat(filled)) + ' '.repeat(width - filled);
}

function percent({ successRate }: Pick<BuildStats, 'successRate'>): string {
  return successRate === null ? '  –  ' : `${(successRate * 100).toFixed(1)} %`;
}

function counts({ byStatus, total }: BuildStats): string {
  const parts = Object.entries(byStatus).filter(([, count]) => count > 0);
  return styleText('dim', `of ${total}: ${parts.map(([status, count]) => `${count} ${status}`).join(', ')}`);
}

function minutes(milliseconds: number): string {
  return `${(milliseconds / 60_000).toFixed(1).padStart(5)} min`;
}
