/**
 * What `packer build -machine-readable` prints: `timestamp,target,type,data…`, where data has `%!(PACKER_COMMA)` for a comma, and `\n` and `\r` as two
 * characters each. See https://developer.hashicorp.com/packer/docs/commands
 */

interface OfPacker {
  readonly at: Date;
  /** The builder that it is about: `amazon-ebs.base`; `null` for the run as a whole. */
  readonly target: string | null;
}

/** What a person would have read on the terminal. `error` is what was printed in red, which need not be a failure. */
export interface PackerMessage extends OfPacker {
  readonly type: 'message';
  readonly level: 'say' | 'message' | 'error';
  readonly text: string;
}

/** A builder has failed. */
export interface PackerError extends OfPacker {
  readonly type: 'error';
  readonly message: string;
}

/** How many builders have failed. */
export interface PackerErrorCount extends OfPacker {
  readonly type: 'error-count';
  readonly count: number;
}

/** One thing that is known of an artifact: its `id`, its `builder-id`, that it is all (`end`). */
export interface PackerArtifactPart extends OfPacker {
  readonly type: 'artifact';
  readonly index: number;
  readonly part: string;
  readonly values: readonly string[];
}

/** Any other line of the format. */
export interface OtherPackerEvent extends OfPacker {
  readonly type: 'other';
  readonly name: string;
  readonly data: readonly string[];
}

/** One line of Packer's machine-readable output. */
export type PackerEvent = PackerMessage | PackerError | PackerErrorCount | PackerArtifactPart | OtherPackerEvent;

/** Reads a line; `null` for one that is not of the format, as logs in between are. */
export function readPackerLine(line: string): PackerEvent | null {
  const [timestamp = '', target = '', name, ...fields] = line.split(',');
  if (name === undefined || !/^\d{1,12}$/.test(timestamp)) return null;
  const of = { at: new Date(Number(timestamp) * 1_000), target: target === '' ? null : target };
  const data = fields.map(unescaped);
  const [first = '', second = '', ...rest] = data;

  switch (name) {
    case 'ui':
      if (first !== 'say' && first !== 'message' && first !== 'error') return { ...of, type: 'other', name, data };
      return { ...of, type: 'message', level: first, text: data.slice(1).join(',').replace(colours, '') };
    case 'error':
      return { ...of, type: 'error', message: data.join(',').replace(colours, '') };
    case 'error-count':
      return { ...of, type: 'error-count', count: Number(first) };
    case 'artifact':
      return { ...of, type: 'artifact', index: Number(first), part: second, values: rest };
    default:
      return { ...of, type: 'other', name, data };
  }
}

const colours = /\u001B\[[0-9;]*m/g;

function unescaped(field: string): string {
  return field
    .replaceAll('%!(PACKER_COMMA)', ',')
    .replaceAll(String.raw`\n`, '\n')
    .replaceAll(String.raw`\r`, '\r');
}
