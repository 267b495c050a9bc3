import { pathToFileURL } from 'node:url';
import { compileDeep, renderDeep, resolveVariables, unwrap } from '@vivarium/core/templates';
import { compiled, engines, plain, plainEncoded, remembered } from './engines.ts';
import type { Engine } from './engines.ts';
import { everythingTouched, interleave, touch, TURN_WITH_GARBAGE } from './interleave.ts';
import type { Contestant, Measured } from './interleave.ts';
import { redactorContestants } from './redactor.ts';
import { deepValue, deepVariables, scenarios } from './scenarios.ts';
import type { Scenario } from './scenarios.ts';

/** What is promised of a ratio between two contestants. */
interface Promised {
  readonly scenario: string;
  readonly claim: string;
  readonly ratio: number;
  readonly kept: boolean;
}

const ROUNDS = 151;
const GENERATING_CODE = ['handlebars (generates code)', 'eta (generates code)', 'doT (generates code)'];

/**
 * Runs every scenario and prints its table, then what is promised and whether it was kept. Returns whether all of it was.
 */
export function benchTemplates(print: (line: string) => void = console.log): boolean {
  const promises: Promised[] = [];
  print('# Templates\n');
  print('Every engine writes the same text; no value needs encoding. What each does to values:\n');
  for (const { name, encodes } of [plain, plainEncoded, compiled, ...engines]) print(`- ${name}: ${encodes}`);

  for (const scenario of scenarios) {
    const contenders = [plain, plainEncoded, compiled, remembered, ...engines];
    const measured = interleave(
      contenders.map((engine) => warm(engine, scenario)),
      ROUNDS,
    );
    table(print, `${scenario.name}, read before`, measured);
    promises.push(...warmPromises(scenario, measured));
  }
  for (const scenario of scenarios) {
    const contenders = [compiled, ...engines].filter((engine) => engine.cold !== null);
    table(
      print,
      `${scenario.name}, never seen before`,
      interleave(
        contenders.map((engine) => cold(engine, scenario)),
        41,
      ),
    );
  }
  for (const slotsInEvery of [4, 1]) {
    const name = `deep JSON of 1,000 texts, ${slotsInEvery === 1 ? 'each' : 'one in four'} with a variable`;
    const measured = interleave(deepContestants(slotsInEvery), ROUNDS);
    table(print, name, measured);
    if (slotsInEvery !== 4) continue;
    for (const ours of ['vivarium, compileDeep', 'vivarium, renderDeep']) {
      promises.push(atMost(name, measured, ours, 'plain recursive clone', 2));
    }
  }

  const redaction = 'a mebibyte of log without a hit, 100 secrets';
  const measured = interleave(redactorContestants(), 60, TURN_WITH_GARBAGE);
  table(print, redaction, measured);
  promises.push(atMost(redaction, measured, 'vivarium, redactor', 'TextDecoder', 1));
  promises.push(atLeast(redaction, measured, 'vivarium, redactor', 'one regular expression', 50));

  print('\n## Promises\n');
  for (const { scenario, claim, ratio, kept } of promises)
    print(`- ${kept ? 'kept  ' : 'BROKEN'} ${scenario}: ${claim}; measured ${ratio.toFixed(2)}`);
  print(`\n(${everythingTouched()} touched)`);
  return promises.every(({ kept }) => kept);
}

function warmPromises(scenario: Scenario, measured: readonly Measured[]): Promised[] {
  const { name } = scenario;
  const best = GENERATING_CODE.map((engine) => find(measured, engine)).sort(
    (a, b) => a.nanoseconds - b.nanoseconds,
  )[0]!;
  const promises = [
    atMost(name, measured, 'vivarium', plain.name, 1.5),
    atMost(name, measured, 'vivarium', best.name, 1.3),
  ];
  if (scenario.context === 'json') return promises;
  return [
    ...promises,
    atLeast(name, measured, 'vivarium', 'mustache', 5),
    atLeast(name, measured, 'vivarium', 'postman-collection', 8),
  ];
}

function atMost(scenario: string, measured: readonly Measured[], name: string, other: string, most: number): Promised {
  const ratio = find(measured, name).against.get(other)!;
  return { scenario, claim: `at most ${most} × ${other}`, ratio, kept: ratio <= most };
}

function atLeast(
  scenario: string,
  measured: readonly Measured[],
  name: string,
  other: string,
  least: number,
): Promised {
  const ratio = find(measured, other).against.get(name)!;
  return { scenario, claim: `${other} takes at least ${least} × as long`, ratio, kept: ratio >= least };
}

function find(measured: readonly Measured[], name: string): Measured {
  return measured.find((one) => one.name === name)!;
}

function warm(engine: Engine, { sources, context, variables }: Scenario): Contestant {
  const prepared = engine.prepare(variables);
  const renderers = sources.map((source) => engine.compile(source, context));
  same(
    engine,
    renderers.map((renderer) => renderer(prepared)),
    sources,
    variables,
  );
  const work = () => {
    let touched = 0;
    for (const renderer of renderers) touched += touch(renderer(prepared));
    return touched;
  };
  return { name: engine.name, work };
}

/** Every call brings sources that were never seen: a number is written at their end. */
function cold(engine: Engine, { sources, context, variables }: Scenario): Contestant {
  const prepared = engine.prepare(variables);
  let call = 0;
  const work = () => {
    let touched = 0;
    call++;
    for (const source of sources) touched += touch(engine.cold!(numbered(source, call), context)(prepared));
    return touched;
  };
  return { name: engine.name, work };
}

const numbered = (source: string, call: number) => (source.endsWith('}') ? `${source} ${call}` : `${source}${call}`);

/** A comparison of engines that write different texts would say nothing. */
function same(
  engine: Engine,
  texts: readonly string[],
  sources: readonly string[],
  variables: Scenario['variables'],
): void {
  const expected = sources.map((source) => source.replace(/\{\{(\w+)\}\}/g, (_, name: string) => variables[name]!));
  const different = texts.findIndex((text, index) => text !== expected[index]);
  if (different !== -1) throw new Error(`${engine.name} writes something else: ${texts[different]}`);
}

function deepContestants(slotsInEvery: number): Contestant[] {
  const value = deepValue(slotsInEvery);
  const resolved = unwrap(resolveVariables(deepVariables));
  const handle = unwrap(compileDeep(value));
  const touchDeep = (copy: unknown) => {
    const { items } = copy as { items: { link: string; name: string; address: { street: string; zip: string } }[] };
    let touched = 0;
    for (const { link, name, address } of items)
      touched += touch(link) + touch(name) + touch(address.street) + touch(address.zip);
    return touched;
  };
  return [
    { name: 'plain recursive clone', work: () => touchDeep(clone(value)) },
    { name: 'vivarium, compileDeep', work: () => touchDeep(unwrap(handle.render(resolved)).value) },
    { name: 'vivarium, renderDeep', work: () => touchDeep(unwrap(renderDeep(value, resolved)).value) },
    { name: 'recursive clone with replace()', work: () => touchDeep(replaced(value)) },
    { name: 'structuredClone', work: () => touchDeep(structuredClone(value)) },
  ];
}

function clone(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clone);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = clone((value as Record<string, unknown>)[key]);
  return copy;
}

/** What is commonly written for this: a regular expression over every text. */
function replaced(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/\{\{(\w+)\}\}/g, (_, name: string) => deepVariables[name]!);
  if (Array.isArray(value)) return value.map(replaced);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = replaced((value as Record<string, unknown>)[key]);
  return copy;
}

function table(print: (line: string) => void, title: string, measured: readonly Measured[]): void {
  const reference = measured[0]!;
  print(`\n## ${title}\n`);
  print(`| | time | × ${reference.name} |`);
  print('| --- | ---: | ---: |');
  for (const { name, nanoseconds, against } of measured) {
    print(`| ${name} | ${duration(nanoseconds)} | ${against.get(reference.name)!.toFixed(2)} |`);
  }
}

function duration(nanoseconds: number): string {
  return nanoseconds < 10_000 ? `${nanoseconds.toFixed(0)} ns` : `${(nanoseconds / 1000).toFixed(1)} µs`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = benchTemplates() ? 0 : 1;
}
