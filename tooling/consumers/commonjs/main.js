const assert = require('node:assert/strict');
const { createVivarium, isVivariumError, unwrap } = require('@vivarium/core');
const { memoryStorage } = require('@vivarium/core/memory');
const { compile } = require('@vivarium/core/templates');
const { formatVariables } = require('@vivarium/core/variables');

async function main() {
  const ada = createVivarium({ storage: memoryStorage() }).as({ org: 'acme', type: 'user', id: 'ada' });
  const project = await unwrap(ada.projects.create({ name: 'Checkout' }));
  const variables = [{ key: 'HOST', value: 'staging.example.com' }];
  const staging = await unwrap(ada.environments.create({ projectId: project.id, name: 'Staging', variables }));

  const rendered = await unwrap(ada.environments.render(staging.ref, 'https://{{HOST}}/v1', { context: 'url' }));
  assert.equal(rendered.text, 'https://staging.example.com/v1');

  const taken = await ada.environments.create({ projectId: project.id, name: 'staging' });
  assert.ok(taken.isErr() && isVivariumError(taken.error));
  assert.equal(taken.error.code, 'environment_name_taken');

  assert.ok(compile('{{HOST}}').isOk());
  assert.match(unwrap(formatVariables('dotenv', staging.variables)).text, /^HOST=/m);
}

main();
