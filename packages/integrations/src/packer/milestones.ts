import type { PackerMessage } from './events.ts';

/** A milestone, and what Packer says when it gets there. */
export interface PackerMilestone {
  /** 0–100. Where the build's plan does not have it, the highest milestone of the plan below it is entered. */
  readonly state: number;
  readonly when: RegExp | ((message: PackerMessage) => boolean);
}

/**
 * Where a run stands by what Packer and its builders say of themselves. None of these stands in what is said while a failed run is cleaned up. A provisioner
 * says where it is with a line of its own: `echo "vivarium:milestone 45"`.
 */
export const packerMilestones: readonly PackerMilestone[] = [
  { state: 5, when: /(launching|creating|starting) .*\b(instance|virtual machine|vm|server|droplet)\b/i },
  { state: 10, when: /waiting for (ssh|winrm|instance|machine)/i },
  { state: 15, when: /connected to (ssh|winrm)!/i },
  { state: 20, when: /provisioning with |running local shell script/i },
  { state: 70, when: /(stopping the source instance|gracefully halting|shutting down|powering off|deallocating)/i },
  { state: 75, when: /(creating|capturing|exporting) .*\b(ami|image|snapshot|template)\b|waiting for ami/i },
  { state: 90, when: /running post-processor/i },
];

const marker = /(?:^|\s)vivarium:milestone[ =](\d{1,3})(?!\d)/;

/** The milestone that a message speaks of; `null` when it speaks of none. */
export function milestoneIn(message: PackerMessage, milestones: readonly PackerMilestone[]): number | null {
  const marked = marker.exec(message.text);
  if (marked !== null) return Number(marked[1]);
  const reached = milestones.filter(({ when }) =>
    typeof when === 'function' ? when(message) : message.text.search(when) !== -1,
  );
  return reached.length === 0 ? null : Math.max(...reached.map(({ state }) => state));
}

/** The milestone of a plan that stands for a state: that one, or the highest below it. */
export function planned(plan: readonly number[], state: number): number | null {
  return plan.filter((milestone) => milestone <= state).at(-1) ?? null;
}
