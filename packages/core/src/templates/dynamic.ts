import { systemClock, systemRandom } from '../kernel/clock.ts';
import type { Clock, Random } from '../kernel/clock.ts';
import type { IdSource } from '../kernel/ids.ts';
import type { SecretText } from '../kernel/secret-text.ts';

/**
 * Where dynamic variables come from. The ports feed the built-in ones; every other property, its name beginning with `$`, is a
 * variable of the host's own, called anew for each slot.
 *
 * | slot | value | port |
 * | --- | --- | --- |
 * | `{{$uuid}}` | a UUID | `ids`, by default version 4 |
 * | `{{$timestamp}}` | seconds since 1970, as Postman has it | `clock` |
 * | `{{$isoTimestamp}}` | `2026-11-21T09:00:00.000Z` | `clock` |
 * | `{{$randomInt}}` | 0 to 1000, as Postman has it | `random` |
 *
 * @example
 * template.render(resolved, { dynamic: { $traceId: () => currentTrace().id, clock: { now: () => new Date(0) } } });
 */
export interface DynamicVariables {
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly ids?: IdSource | undefined;
  readonly [name: `$${string}`]: () => string | SecretText;
}

/** The ports that the built-in variables read from. */
export interface DynamicPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: IdSource;
}

/** What is used when nobody gave ports: the machine's own clock and randomness. The only place in templates that touches them. */
export const systemPorts: DynamicPorts = {
  clock: systemClock,
  random: systemRandom,
  ids: { next: () => globalThis.crypto.randomUUID() },
};

/** The variables that are always there. Neither a variable nor a host's function takes their place. */
export const BUILT_IN: ReadonlyMap<string, (ports: DynamicPorts) => string> = new Map([
  ['$uuid', (ports: DynamicPorts) => ports.ids.next()],
  ['$timestamp', (ports: DynamicPorts) => String(Math.floor(ports.clock.now().getTime() / 1000))],
  ['$isoTimestamp', (ports: DynamicPorts) => ports.clock.now().toISOString()],
  ['$randomInt', (ports: DynamicPorts) => String(Math.floor(ports.random.next() * 1001))],
]);
