import type { Statement } from './statement.ts';

/**
 * The statements of a method with conditions that a caller may leave out: one for each set of them, made when it is first asked for. So each is
 * planned for what it looks for, and the server prepares those that are used.
 */
export class Filtered<F extends string> {
  readonly #made = new Map<string, Statement>();
  readonly #conditions: readonly (readonly [F, string])[];
  readonly #make: (variant: string, conditions: readonly string[]) => Statement;

  constructor(
    conditions: Readonly<Record<F, string>>,
    make: (variant: string, conditions: readonly string[]) => Statement,
  ) {
    this.#conditions = Object.entries(conditions) as [F, string][];
    this.#make = make;
  }

  /** The statement with the conditions of everything that is given. */
  with(given: { readonly [K in F]?: unknown }): Statement {
    const asked = this.#conditions.filter(([name]) => given[name] !== undefined && given[name] !== null);
    const variant = asked.map(([name]) => `+${name}`).join('');
    let made = this.#made.get(variant);
    if (made === undefined) {
      made = this.#make(
        variant,
        asked.map(([, condition]) => condition),
      );
      this.#made.set(variant, made);
    }
    return made;
  }
}
