/**
 * Follows `packer build -machine-readable` and tells a build how it goes.
 *
 * @packageDocumentation
 */
export { readPackerLine } from './events.ts';
export type {
  OtherPackerEvent,
  PackerArtifactPart,
  PackerError,
  PackerErrorCount,
  PackerEvent,
  PackerMessage,
} from './events.ts';
export type { PackerFailure } from './failures.ts';
export { followPacker } from './follow.ts';
export type { PackerArtifact, PackerFollowError, PackerFollowing, PackerRun } from './follow.ts';
export { packerMilestones } from './milestones.ts';
export type { PackerMilestone } from './milestones.ts';
