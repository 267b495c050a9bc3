/**
 * Vivarium as one would explain it at a blackboard: lists in memory, one command after the other, no versions of anything but of what changes,
 * nothing shared with the services and their rules. What it says, the library has to say.
 */
import type { Clock, Limits, PipelineRunner } from '@vivarium/core';

import { plainBuilds } from './plain-builds.ts';
import { plainEnvironments } from './plain-environments.ts';
import { plainEphemeral } from './plain-ephemeral.ts';
import { plainJournal } from './plain-journal.ts';
import { plainLedger } from './plain-ledger.ts';
import type { PlainActor } from './plain-ledger.ts';

export class PlainModel {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #runner: PipelineRunner;
  #ids = 0;

  constructor(clock: Clock, limits: Limits, runner: PipelineRunner) {
    this.#clock = clock;
    this.#limits = limits;
    this.#runner = runner;
  }

  /** An org of its own, with the methods of a client. */
  org(orgId: string, actor: PlainActor) {
    const newId = () => `00000000-0000-7000-9000-${(++this.#ids).toString(16).padStart(12, '0')}`;
    const ledger = plainLedger(orgId, actor, this.#clock, newId);
    const environments = plainEnvironments(ledger, this.#limits);
    return {
      ...environments,
      ...plainEphemeral(ledger, this.#runner),
      ...plainBuilds(ledger, environments.projects),
      ...plainJournal(ledger),
    };
  }
}
