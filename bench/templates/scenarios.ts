import type { TemplateContext } from '@vivarium/core/templates';
import type { Variables } from './engines.ts';

/** Texts to render together, all with the same variables. */
export interface Scenario {
  readonly name: string;
  readonly context: TemplateContext;
  readonly sources: readonly string[];
  readonly variables: Variables;
}

const url: Scenario = {
  name: 'URL with 3 variables',
  context: 'url',
  sources: ['{{API_BASE_URL}}/users/{{userId}}/orders/{{orderId}}?expand=items'],
  variables: { API_BASE_URL: 'https://staging-api.example.com/v2', userId: '8f14e45f-ceea', orderId: '20261121-00042' },
};

const headerNames = Array.from({ length: 30 }, (_, index) => `HEADER_${index}`);

const headers: Scenario = {
  name: '30 headers',
  context: 'header',
  sources: headerNames.map((name, index) => (index % 2 === 0 ? `Bearer {{${name}}}` : `id={{${name}}}; v=1`)),
  variables: Object.fromEntries(headerNames.map((name, index) => [name, `value-${index}-of-thirty`])),
};

const fields = Array.from({ length: 200 }, (_, index) => `FIELD_${index}`);

const body: Scenario = {
  name: '50 KB body with 200 slots',
  context: 'json',
  sources: [
    `{${fields.map((name, index) => `"${name.toLowerCase()}":"${'lorem ipsum '.repeat(18)}{{${name}}} ${index}"`).join(',')}}`,
  ],
  variables: Object.fromEntries(fields.map((name, index) => [name, `the value of field ${index}`])),
};

export const scenarios: readonly Scenario[] = [url, headers, body];

/** 1,000 texts in 250 objects, as in the body of a bulk request: one in four mentions variables. */
export function deepValue(slotsInEvery: number): unknown {
  let count = 0;
  const text = (plain: string, template: string) => (count++ % slotsInEvery === 0 ? template : plain);
  return {
    items: Array.from({ length: 250 }, (_, index) => ({
      link: text(`https://example.com/items/${index}`, `{{API_BASE_URL}}/items/${index}`),
      name: text(`Item number ${index}`, `Item ${index} of {{OWNER}}`),
      address: {
        street: text(`${index} High Street`, `${index} {{STREET}}`),
        zip: text(`${10_000 + index}`, `{{ZIP}}-${index}`),
      },
      quantity: index,
      active: index % 2 === 0,
    })),
  };
}

export const deepVariables: Variables = {
  API_BASE_URL: 'https://staging-api.example.com/v2',
  OWNER: 'Ada Lovelace',
  STREET: 'St James’s Square',
  ZIP: '90210',
};
