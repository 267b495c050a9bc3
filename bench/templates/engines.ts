import dot from 'dot';
import { Eta } from 'eta';
import Handlebars from 'handlebars';
import { Liquid } from 'liquidjs';
import { compile as compileMicromustache } from 'micromustache';
import mustache from 'mustache';
import postman from 'postman-collection';
import { compile, render, resolveVariables, unwrap } from '@vivarium/core/templates';
import type { ResolvedVariables, TemplateContext } from '@vivarium/core/templates';

/** The variables of a scenario. No value needs escaping anywhere, so that every engine writes the same text. */
export type Variables = Readonly<Record<string, string>>;

export interface Engine<Prepared = unknown> {
  readonly name: string;
  /** What it does to a value, so that the comparison can be judged. */
  readonly encodes: string;
  /** The variables in the form that the engine wants, made once, as a host does that renders many templates with one environment. */
  readonly prepare: (variables: Variables) => Prepared;
  /** Reads a template with `{{NAME}}` slots, and gives the function that renders it. */
  readonly compile: (source: string, context: TemplateContext) => (prepared: Prepared) => string;
  /** Reads and renders in one go, remembering nothing. Null where the engine has only one way. */
  readonly cold: ((source: string, context: TemplateContext) => (prepared: Prepared) => string) | null;
}

/** Keeps the type of what an engine prepares to itself, so that engines of all kinds go into one list. */
function engine<Prepared>(definition: Engine<Prepared>): Engine {
  return definition as Engine;
}

const asTheyAre = (variables: Variables) => variables;

const slots = /\{\{(\w+)\}\}/g;
const eta = new Eta({ autoEscape: false, cache: false });
const liquid = new Liquid({ cache: false });

/**
 * What somebody would write by hand: `'' + v.BASE + '/users/' + v.userId`. Made as source text here because the scenarios are data; it
 * encodes nothing and checks nothing.
 */
export const plain = engine<Variables>({
  name: 'plain concatenation',
  encodes: 'nothing',
  prepare: asTheyAre,
  compile: (source) => writtenByHand(source, (name) => `v.${name}`),
  cold: null,
});

/** The same with the encoding that the context asks for, written by hand. */
export const plainEncoded = engine<Variables>({
  name: 'plain, encoding by hand',
  encodes: 'as the context asks, without looking at what comes together',
  prepare: asTheyAre,
  compile: (source, context) =>
    writtenByHand(source, (name, index) => {
      if (context === 'url' && index > 0) return `encodeURIComponent(v.${name})`;
      if (context === 'json') return `JSON.stringify(v.${name}).slice(1, -1)`;
      return `v.${name}`;
    }),
  cold: null,
});

function writtenByHand(
  source: string,
  expression: (name: string, index: number) => string,
): (variables: Variables) => string {
  const pieces = source.split(slots);
  const terms = pieces.map((piece, index) =>
    index % 2 === 0 ? JSON.stringify(piece) : expression(piece, (index - 1) / 2),
  );
  return new Function('v', `return ${terms.join(' + ')}`) as (variables: Variables) => string;
}

export const engines: readonly Engine[] = [
  engine<Variables>({
    name: 'mustache',
    encodes: 'nothing ({{&NAME}})',
    prepare: asTheyAre,
    compile: (source) => {
      const template = source.replace(slots, '{{&$1}}');
      mustache.parse(template);
      return (variables) => mustache.render(template, variables);
    },
    cold: (source) => {
      const template = source.replace(slots, '{{&$1}}');
      return (variables) => {
        mustache.clearCache();
        return mustache.render(template, variables);
      };
    },
  }),
  engine<Variables>({
    name: 'handlebars (generates code)',
    encodes: 'nothing (noEscape)',
    prepare: asTheyAre,
    compile: (source) => {
      const template = Handlebars.compile<Variables>(source, { noEscape: true });
      return (variables) => template(variables);
    },
    cold: (source) => (variables) => Handlebars.compile<Variables>(source, { noEscape: true })(variables),
  }),
  engine<Variables>({
    name: 'eta (generates code)',
    encodes: 'nothing (autoEscape off)',
    prepare: asTheyAre,
    compile: (source) => {
      const template = eta.compile(source.replace(slots, '<%~ it.$1 %>'));
      return (variables) => template.call(eta, variables);
    },
    cold: (source) => {
      const template = source.replace(slots, '<%~ it.$1 %>');
      return (variables) => eta.renderString(template, variables);
    },
  }),
  engine<Variables>({
    name: 'doT (generates code)',
    encodes: 'nothing ({{= }})',
    prepare: asTheyAre,
    compile: (source) => dot.template(source.replace(slots, '{{=it.$1}}'), { ...dot.templateSettings, strip: false }),
    cold: (source) => {
      const template = source.replace(slots, '{{=it.$1}}');
      return (variables) => dot.template(template, { ...dot.templateSettings, strip: false })(variables);
    },
  }),
  engine<Variables>({
    name: 'liquidjs',
    encodes: 'nothing',
    prepare: asTheyAre,
    compile: (source) => {
      const template = liquid.parse(source);
      return (variables) => liquid.renderSync(template, variables) as string;
    },
    cold: (source) => (variables) => liquid.parseAndRenderSync(source, variables) as string,
  }),
  engine<Variables>({
    name: 'micromustache',
    encodes: 'nothing',
    prepare: asTheyAre,
    compile: (source) => {
      const template = compileMicromustache(source);
      return (variables) => template.render(variables);
    },
    cold: (source) => (variables) => compileMicromustache(source).render(variables),
  }),
  engine<Scope>({
    name: 'postman-collection',
    encodes: 'nothing',
    prepare: (variables) => {
      const values = Object.entries(variables).map(([key, value]) => ({ key, value }));
      return new postman.VariableScope({ values }) as unknown as Scope;
    },
    // It has no compiled form.
    compile: (source) => (scope) => scope.replaceIn(source),
    cold: null,
  }),
];

/** What the type declarations of postman-collection leave out. */
interface Scope {
  replaceIn(text: string): string;
}

const resolve = (variables: Variables) => unwrap(resolveVariables(variables));

/** A handle that was compiled before. */
export const compiled = engine<ResolvedVariables>({
  name: 'vivarium',
  encodes: 'as the context asks; refuses what would break out',
  prepare: resolve,
  compile: (source, context) => {
    const template = unwrap(compile(source, { context }));
    return (resolved) => {
      const rendered = template.render(resolved);
      if (rendered.isErr()) throw rendered.error;
      return rendered.value.text;
    };
  },
  cold: (source, context) => (resolved) => unwrap(render(source, resolved, { context })).text,
});

/** The source each time, found in the cache. */
export const remembered = engine<ResolvedVariables>({
  ...compiled,
  name: 'vivarium, by source',
  prepare: resolve,
  compile: (source, context) => (resolved) => unwrap(render(source, resolved, { context })).text,
  cold: null,
});
