import assert from 'node:assert/strict';
import { createVivarium, unwrap } from '@vivarium/core';
import type { Environment, ErrorOf, ResultAsync } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { compile } from '@vivarium/core/templates';
import type { Template } from '@vivarium/core/templates';
import { onEveryDatabase } from './adapters.js';

assert.equal(onEveryDatabase().length, 3);

const ada = createVivarium({ storage: memoryStorage() }).as({ org: 'acme', type: 'user', id: 'ada' });
const project = await unwrap(ada.projects.create({ name: 'Checkout' }));

function addStaging(host: string): ResultAsync<Environment, ErrorOf<'environments.create'>> {
  return ada.environments.create({ projectId: project.id, name: 'Staging', variables: [{ key: 'HOST', value: host }] });
}

/** The error type is exact: a code that was left out here, or one that cannot happen, would not compile. */
function explain(error: ErrorOf<'environments.create'>): string {
  switch (error.code) {
    case 'environment_name_taken':
      return `taken in ${error.projectId}`;
    case 'limit_reached':
      return `at most ${error.maximum}`;
    case 'invalid_input':
      return error.issues.map(({ path }) => path).join();
    case 'access_denied':
    case 'idempotency_mismatch':
    case 'key_management_failure':
    case 'not_configured':
    case 'not_found':
    case 'stale_version':
    case 'storage_failure':
    case 'unsealing_failed':
      return error.message;
  }
}

const staging = await unwrap(addStaging('staging.example.com'));
const again = await addStaging('elsewhere.example.com');
assert.equal(again.isErr() && explain(again.error), `taken in ${project.id}`);

const rendered = await unwrap(ada.environments.render(staging.ref, 'https://{{HOST}}/v1', { context: 'url' }));
assert.equal(rendered.text, 'https://staging.example.com/v1');

const template: Template = unwrap(compile('{{HOST}}', { context: 'header' }));
const resolved = await unwrap(ada.environments.resolve(staging.ref));
assert.equal(unwrap(template.render(resolved)).text, 'staging.example.com');
