import assert from 'node:assert/strict';
import { createVivarium, unwrap } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { render, resolveVariables } from '@vivarium/core/templates';
import { parseVariables } from '@vivarium/core/variables';

const ada = createVivarium({ storage: memoryStorage() }).as({ org: 'acme', type: 'user', id: 'ada' });
const project = await unwrap(ada.projects.create({ name: 'Checkout' }));
const variables = unwrap(parseVariables('dotenv', 'HOST=staging.example.com'));
const staging = await unwrap(ada.environments.create({ projectId: project.id, name: 'Staging', variables }));

const rendered = await unwrap(ada.environments.render(staging.ref, 'https://{{HOST}}/v1', { context: 'url' }));
assert.equal(rendered.text, 'https://staging.example.com/v1');

const alone = unwrap(render('Hello {{name}}', unwrap(resolveVariables({ name: 'Ada' }))));
assert.equal(alone.text, 'Hello Ada');
