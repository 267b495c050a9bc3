import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

/** GitHub's official description of its API. What OpenAPI 3.0 calls nullable, without a type, is another alternative in JSON Schema. */
const description = JSON.parse(
  readFileSync(createRequire(import.meta.url).resolve('@octokit/openapi/generated/api.github.com.json'), 'utf8'),
  (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('nullable' in value) || 'type' in value) return value;
    const { nullable, ...schema } = value;
    return nullable === true ? { anyOf: [schema, { type: 'null' }] } : schema;
  },
) as Description;

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly examples: Readonly<Record<string, { readonly value: Record<string, unknown> }>>;
    readonly parameters: Readonly<Record<string, Parameter>>;
  };
}
interface Operation {
  readonly parameters: readonly (Parameter | { readonly $ref: string })[];
  readonly requestBody?: { readonly required?: boolean };
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: object }>>;
}
interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly schema: object;
}

const ajv = new Ajv({ strict: false, validateSchema: false, coerceTypes: false, logger: false });
addFormats.default(ajv);
ajv.addSchema(description, 'github');
const compiled = new Map<string, ValidateFunction>();

function faults(pointer: string, value: unknown): string[] {
  const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `github#${pointer}` });
  compiled.set(pointer, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const escaped = (part: string) => part.replaceAll('~', '~0').replaceAll('/', '~1');

/** An example that the description gives, to be changed in what matters. */
export function example(name: string): Record<string, unknown> {
  return structuredClone(description.components.examples[name]!.value);
}

/** The operation that a request is, its path's parameters, and everything in which it differs from the description. */
export function read(method: string, url: URL, body: string) {
  const segments = url.pathname.split('/');
  for (const [path, operations] of Object.entries(description.paths)) {
    const operation = operations[method.toLowerCase()];
    const parts = path.split('/');
    if (operation === undefined || parts.length !== segments.length) continue;
    const fits = parts.every((part, i) => (part.startsWith('{') ? segments[i] !== '' : part === segments[i]));
    if (!fits) continue;

    const pointer = `/paths/${encodeURIComponent(escaped(path))}/${method.toLowerCase()}`;
    const values: Record<string, string> = {};
    parts.forEach((part, i) => {
      if (part.startsWith('{')) values[part.slice(1, -1)] = decodeURIComponent(segments[i]!);
    });
    const wrong = parameterFaults(operation, pointer, values, url.searchParams);
    if (operation.requestBody !== undefined && (body !== '' || operation.requestBody.required === true)) {
      const schema = `${pointer}/requestBody/content/application~1json/schema`;
      wrong.push(...faults(schema, JSON.parse(body === '' ? 'null' : body)).map((fault) => `body${fault}`));
    } else if (body !== '') wrong.push('there is a body that the description does not know');
    return { operation: `${method} ${path}`, pointer, values, faults: wrong, responses: operation.responses };
  }
  return null;
}

function parameterFaults(
  { parameters }: Operation,
  pointer: string,
  values: Readonly<Record<string, string>>,
  query: URLSearchParams,
): string[] {
  const known = parameters.map((parameter, index) => {
    if (!('$ref' in parameter)) return { parameter, at: `${pointer}/parameters/${index}/schema` };
    const name = parameter.$ref.split('/').at(-1)!;
    return { parameter: description.components.parameters[name]!, at: `/components/parameters/${name}/schema` };
  });
  const strange = [...query.keys()].filter((name) => !known.some(({ parameter }) => parameter.name === name));
  const wrong = known.flatMap(({ parameter, at }) => {
    const text = parameter.in === 'path' ? values[parameter.name] : query.get(parameter.name);
    if (text == null) return parameter.required === true ? [`${parameter.name} is missing`] : [];
    const isNumber = (parameter.schema as { type?: string }).type === 'integer';
    return faults(at, isNumber ? Number(text) : text).map((fault) => `${parameter.name}${fault}`);
  });
  return [...strange.map((name) => `?${name} is not a parameter`), ...wrong];
}

/** In what an answer of a test's own server differs from what GitHub would answer. */
export function answerFaults(pointer: string, responses: Operation['responses'], status: number, body: unknown) {
  const response = responses[String(status)];
  if (response === undefined) return status >= 400 ? [] : [`${status} is no answer to this operation`];
  if (body === undefined) return [];
  const base = response.$ref === undefined ? `${pointer}/responses/${status}` : response.$ref.slice(1);
  return faults(`${base}/content/application~1json/schema`, body);
}
