import type { Actor } from './actor.ts';

/** What a call is about: its kind, its org, and the ids that the call named. */
export interface PolicyResource {
  readonly type: string;
  readonly orgId: string;
  readonly projectId?: string;
  readonly id?: string;
}

/** One question: may this actor do this to that? `action` is the method's name, such as `environments.update`. */
export interface PolicyQuestion {
  readonly actor: Actor;
  readonly action: string;
  readonly resource: PolicyResource;
}

/** Decides who may do what; asked before anything is read, once for each thing that a call names (both environments of a `diff`, a new parent). May be asynchronous. A policy that throws denies. */
export interface Policy {
  allows(question: PolicyQuestion): boolean | Promise<boolean>;
}

/** The default: the host has decided already. */
export const allowEverything: Policy = { allows: () => true };
