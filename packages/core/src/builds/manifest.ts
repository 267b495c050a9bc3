/** The manifest that Packer's `manifest` post-processor writes: https://developer.hashicorp.com/packer/docs/post-processors/manifest */
import * as z from 'zod';

import { isPlainObject, unstorable } from '../kernel/json.ts';
import type { JsonObject, JsonProblem } from '../kernel/json.ts';
import { utf8Length } from '../kernel/text.ts';

/** One artifact in a manifest. Fields that are not known here are kept. */
export interface PackerBuild extends JsonObject {
  readonly name: string;
  readonly builder_type: string;
  /** Seconds since 1970. */
  readonly build_time?: number;
  /** The image: `us-east-1:ami-0123`. Some builders leave it empty. */
  readonly artifact_id: string;
  readonly packer_run_uuid: string;
}

/** What Packer writes. A file that several runs have written to holds the builds of all of them. */
export interface PackerManifest extends JsonObject {
  readonly builds: readonly PackerBuild[];
  /** The run that wrote last: at least one of the builds is of it. */
  readonly last_run_uuid: string;
}

/** Bytes of a manifest, as it is given and as it is stored. */
export const maximumManifestBytes = 262_144;

const text = z.string();
const filled = z.string().min(1, 'must not be empty');

/** What is read of a manifest is checked; whatever else stands there is let through as it is. */
const manifestShape = z
  .looseObject({
    // Packer's manifests carry no version: one that does is of a kind that nobody has told us about.
    version: z.literal(1, 'is not a version that is known here').optional(),
    builds: z
      .array(
        z.looseObject({
          name: text,
          builder_type: filled,
          build_time: z.int().min(0).optional(),
          files: z.array(z.looseObject({ name: text, size: z.int().min(0) })).nullish(),
          artifact_id: text,
          packer_run_uuid: filled,
          custom_data: z.record(text, text).nullish(),
        }),
      )
      .min(1, 'must have at least one build'),
    last_run_uuid: filled,
  })
  .refine(({ builds, last_run_uuid: last }) => builds.some((build) => build.packer_run_uuid === last), {
    path: ['last_run_uuid'],
    message: 'must be the packer_run_uuid of one of the builds',
  });

/**
 * A manifest, as the text of the file or parsed. What comes out is a copy: what is answered and stored is what was checked, whatever the caller does
 * with its object.
 */
export const packerManifest = z.unknown().transform((given, ctx): PackerManifest => {
  const refuse = (path: readonly PropertyKey[], message: string) => {
    ctx.addIssue({ code: 'custom', path: [...path], message });
    return z.NEVER;
  };
  const read = legible(given);
  if ('message' in read) return refuse(read.path, read.message);
  const shape = manifestShape.safeParse(read.copy);
  for (const { path, message } of shape.error?.issues ?? []) refuse(path, message);
  return read.copy as PackerManifest;
});

/** A copy of what is a JSON object that storages can hold, or what is wrong with it. */
function legible(given: unknown): { readonly copy: unknown } | JsonProblem {
  const wrong = (message: string): JsonProblem => ({ path: [], message });
  try {
    if (typeof given === 'string' && utf8Length(given) > maximumManifestBytes) return wrong(tooLarge);
    const value = typeof given === 'string' ? parsed(given) : given;
    if (value === undefined) return wrong('must be JSON; it ends too early, or something in it is not');
    if (!isPlainObject(value)) return wrong('must be a JSON object, or the text of one');
    const problem = unstorable(value);
    if (problem !== null) return problem;
    const json = JSON.stringify(value);
    return utf8Length(json) > maximumManifestBytes ? wrong(tooLarge) : { copy: JSON.parse(json) as unknown };
  } catch {
    // A getter or a proxy: what cannot be read now may not be read later either.
    return wrong('cannot be read');
  }
}

const tooLarge = `must have at most ${maximumManifestBytes.toLocaleString('en')} bytes`;

/** `undefined` for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown;
  } catch {
    return undefined;
  }
}
