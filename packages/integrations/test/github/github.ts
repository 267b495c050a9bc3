import { startGitHub } from '@vivarium/loopback-github';
import type { GitHub } from '@vivarium/loopback-github';
import { expect, onTestFinished } from 'vitest';

/** A GitHub until the test is over, which fails where a request or an answer has differed from GitHub's description. */
export async function github(): Promise<GitHub> {
  const running = await startGitHub();
  onTestFinished(async () => {
    await running.close();
    expect(running.faults).toEqual([]);
  });
  return running;
}
