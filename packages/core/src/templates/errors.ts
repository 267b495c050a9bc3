import { VivariumError } from '../kernel/errors.ts';

/**
 * What can go wrong with a template. The errors say where and why, and never hold the value of a variable: a key and an offset are
 * enough to find it, and errors end up in logs.
 */

/** How a template's output is used, and so how values are encoded: see `compile`. */
export type TemplateContext = 'text' | 'url' | 'header' | 'json' | 'form';

/** Where in a template something stands. */
export interface SlotPosition {
  /** The name in the slot, with its `$` where it is a dynamic one. */
  readonly key: string;
  /** Where the slot begins in the template's source, in UTF-16 code units (the index of a JavaScript string). */
  readonly offset: number;
  /** Which part of a request or of a deep value the template is (`url`, `headers.Accept`, `body.items[3].name`); empty for a single template. */
  readonly at: string;
}

/** The source of a template is larger than `compile` accepts. */
export class TemplateTooLarge extends VivariumError {
  readonly code = 'template_too_large';
  /** The most that is accepted, in bytes of UTF-8. */
  readonly maximum: number;

  constructor(maximum: number) {
    super(`the template is larger than ${maximum} bytes`);
    this.maximum = maximum;
  }
}

/** A slot whose variable has no value and no default. */
export interface MissingSlot extends SlotPosition {
  /** The references that led there: `['API_URL', 'HOST']` when the template uses `API_URL`, whose value refers to the missing `HOST`. */
  readonly path: readonly string[];
}

/** A slot names a variable that has no value and no default. */
export class MissingVariable extends VivariumError implements MissingSlot {
  readonly code = 'missing_variable';
  readonly key: string;
  readonly offset: number;
  readonly at: string;
  readonly path: readonly string[];
  /** The other keys of the same template that have no value either, each once, where it first appears. */
  readonly others: readonly MissingSlot[];

  constructor(first: MissingSlot, others: readonly MissingSlot[] = []) {
    super(withoutValue([first, ...others]));
    this.key = first.key;
    this.offset = first.offset;
    this.at = first.at;
    this.path = first.path;
    this.others = others;
  }
}

/** How many missing variables a message names. */
const named = 5;

function withoutValue(slots: readonly MissingSlot[]): string {
  const names = slots.slice(0, named).map(({ key, offset, at, path }) => {
    const via = path.length > 1 ? `, through ${path.join(' → ')}` : '';
    return `"${key}" (${place(offset, at)}${via})`;
  });
  if (slots.length === 1) return `the variable ${names[0]} has no value`;
  const last = slots.length > named ? `${slots.length - named} more` : names.pop();
  return `the variables ${names.join(', ')} and ${last} have no value`;
}

/** Why a value may not stand in its slot. */
export type UnsafeReason =
  | 'url_base'
  | 'url_scheme'
  | 'url_authority'
  | 'url_dot_segment'
  | 'url_character'
  | 'url_reference'
  | 'header_character'
  | 'json_scalar'
  | 'json_string';

const REASONS: Record<UnsafeReason, string> = {
  url_base:
    'a URL that begins with a slot needs an http or https URL there, without user name, query, fragment or dot segments',
  url_scheme: 'a slot in front of "://" must be http or https',
  url_authority:
    'a slot in the host part of a URL must be a host or host:port, and may not change the host that the template names',
  url_dot_segment: 'together with the text around it, it would be a path segment "." or ".."',
  url_character: 'a raw value in a URL may not hold control characters, spaces or backslashes',
  url_reference: 'it would turn a relative URL into one that names another host or scheme',
  header_character: 'a header may not hold control characters or what is not in latin1',
  json_scalar:
    'outside quotes a value must be a JSON number, string, true, false or null; put quotes around the slot for a text',
  json_string: 'a raw value inside quotes must already be escaped as JSON',
};

/** A value would break out of the place that the template gives it: an injection, or a template with its slot in the wrong place. */
export class UnsafeValue extends VivariumError implements SlotPosition {
  readonly code = 'unsafe_value';
  readonly key: string;
  readonly offset: number;
  readonly at: string;
  readonly context: TemplateContext;
  readonly reason: UnsafeReason;

  constructor({ key, offset, at }: SlotPosition, context: TemplateContext, reason: UnsafeReason) {
    super(`the value of "${key}" may not stand ${place(offset, at)}: ${REASONS[reason]}`);
    this.key = key;
    this.offset = offset;
    this.at = at;
    this.context = context;
    this.reason = reason;
  }
}

/** The output would be larger than `maxBytes`. Nothing larger than that was built. */
export class OutputTooLarge extends VivariumError {
  readonly code = 'output_too_large';
  /** The most that was allowed, in bytes of UTF-8. */
  readonly maximum: number;
  readonly at: string;

  constructor(maximum: number, at: string) {
    super(`the output is larger than ${maximum} bytes${at === '' ? '' : `, reached in ${at}`}`);
    this.maximum = maximum;
    this.at = at;
  }
}

/** Variables refer to one another in a circle. */
export class VariableCycle extends VivariumError {
  readonly code = 'variable_cycle';
  /** The circle, its first key once more at the end: `['A', 'B', 'A']`. */
  readonly path: readonly string[];

  constructor(path: readonly string[]) {
    super(`variables refer to one another in a circle: ${path.join(' → ')}`);
    this.path = path;
  }
}

/** The variables, once their references are followed, are larger or deeper than allowed. Found by counting, before anything was built. */
export class VariablesTooLarge extends VivariumError {
  readonly code = 'variables_too_large';
  /** Which limit: `bytes` of UTF-8 of all values together, or `depth`, the length of the longest chain of references. */
  readonly limit: 'bytes' | 'depth';
  readonly maximum: number;
  /** The variable at which the limit was passed. */
  readonly key: string;

  constructor(limit: 'bytes' | 'depth', maximum: number, key: string) {
    super(
      limit === 'bytes'
        ? `the variables are larger than ${maximum} bytes once references are followed, reached at "${key}"`
        : `the references of the variable "${key}" are more than ${maximum} deep`,
    );
    this.limit = limit;
    this.maximum = maximum;
    this.key = key;
  }
}

function place(offset: number, at: string): string {
  return at === '' ? `at offset ${offset}` : `at offset ${offset} of ${at}`;
}
