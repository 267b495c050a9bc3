import assert from 'node:assert/strict';
import { createVivarium, unwrap } from '@vivarium/core';
import type { Variable } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { formatVariables } from '@vivarium/core/variables';

const ada = createVivarium({ storage: memoryStorage() }).as({ org: 'acme', type: 'user', id: 'ada' });
const project = await unwrap(ada.projects.create({ name: 'Checkout' }));
const staging = await unwrap(
  ada.environments.create({ projectId: project.id, name: 'Staging', variables: [{ key: 'HOST', value: 'staging' }] }),
);
const variables: readonly Variable[] = staging.variables;
assert.equal(unwrap(formatVariables('dotenv', variables)).text, 'HOST=staging\n');

const rendered = await unwrap(
  ada.environments.render(staging.ref, 'https://{{HOST}}.example.com/v1', { context: 'url' }),
);
assert.equal(rendered.text, 'https://staging.example.com/v1');
