/** The manifest that Packer's `manifest` post-processor writes: https://developer.hashicorp.com/packer/docs/post-processors/manifest */
import * as z from 'zod';

import { InvalidInput } from '../kernel/errors.ts';
import { isPlainObject, unstorable } from '../kernel/json.ts';
import type { JsonObject } from '../kernel/json.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
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

/** Reads a manifest, as the text of the file or parsed. Errors: `invalid_input`, which names the place. */
export function readManifest(given: unknown): Result<PackerManifest, InvalidInput> {
  try {
    return checked(given);
  } catch {
    // A getter or a proxy: what cannot be read now may not be read later either.
    return refused('manifest', 'cannot be read');
  }
}

function checked(given: unknown): Result<PackerManifest, InvalidInput> {
  return parsed(given).andThen((read) => {
    if (!isPlainObject(read)) return refused('manifest', 'must be a JSON object, or the text of one');
    const problem = unstorable(read);
    if (problem !== null) return refused(pathOf(problem.path), problem.message);
    const json = JSON.stringify(read);
    if (utf8Length(json) > maximumManifestBytes) return refused('manifest', tooLarge);

    // A copy: what is answered and stored is what was checked, whatever the caller does with its object.
    const value = JSON.parse(json) as unknown;
    const shape = manifestShape.safeParse(value);
    if (shape.success) return ok(value as PackerManifest);
    return err(
      new InvalidInput(
        shape.error.issues.map(({ path, message }) => ({
          path: pathOf(path),
          message: message.replace(/^Invalid input: /, ''),
        })),
      ),
    );
  });
}

const tooLarge = `must have at most ${maximumManifestBytes.toLocaleString('en')} bytes`;

function parsed(given: unknown): Result<unknown, InvalidInput> {
  if (typeof given !== 'string') return ok(given);
  if (given.length > maximumManifestBytes || utf8Length(given) > maximumManifestBytes)
    return refused('manifest', tooLarge);
  try {
    return ok(JSON.parse(given.replace(/^\uFEFF/, '')) as unknown);
  } catch {
    return refused('manifest', 'must be JSON; it ends too early, or something in it is not');
  }
}

function refused(path: string, message: string): Result<never, InvalidInput> {
  return err(new InvalidInput([{ path, message }]));
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (before, part) => (typeof part === 'number' ? `${before}[${part}]` : `${before}.${String(part)}`),
    'manifest',
  );
}
