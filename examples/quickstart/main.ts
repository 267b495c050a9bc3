/**
 * The main job in one sitting: a project with two environments, filled from the files that a team already has, and one request rendered
 * against each of them and sent.
 */
import { readFile } from 'node:fs/promises';

import { createVivarium, unwrap } from '@vivarium/core';
import type { Client, Environment, EnvironmentDiff, Project, Result, Variable } from '@vivarium/core';
import { renderRequest } from '@vivarium/core/templates';
import { parseVariableFile, parseVariables } from '@vivarium/core/variables';

import { startServer } from './server.ts';
import type { Seen } from './server.ts';
import { openStorage } from './storage.ts';
import { code, done, heading, refused, say, table, title } from './terminal.ts';

/** The request, as a developer writes it down once. */
const signIn = {
  url: '{{API_BASE_URL}}/users/{{userId}}/sign-in?agent={{USER_AGENT}}',
  headers: { authorization: 'Bearer {{API_TOKEN}}', 'content-type': 'application/json' },
  body: '{"greeting": "{{GREETING}}", "retries": {{RETRY_COUNT:-0}}}',
};

const file = (name: string) => readFile(new URL(`./files/${name}`, import.meta.url), 'utf8');

async function main(): Promise<void> {
  title('Vivarium quickstart');
  const { storage, place, close } = await openStorage();
  const server = await startServer();
  try {
    say(`Everything is kept in ${place}. VIVARIUM_STORAGE chooses another place.`);
    const { applied } = await unwrap(storage.migrate());
    say(applied.length === 0 ? 'Its tables are there already.' : `Its tables were made: ${applied.length} migrations.`);

    const vivarium = createVivarium({ storage });
    const ada = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });

    const project = await makeProject(ada);
    const development = await importDotenv(ada, project);
    const staging = await importPostman(ada, project);
    for (const environment of [development, staging]) await sendRequest(ada, environment, server.port);
    await showRefusals(ada, development);
    await showDiff(ada, development, staging);
    await showJournal(ada);
    say('');
    done('That is the whole of it. Run it again: it finds what it has stored, and starts over.');
  } finally {
    server.close();
    await close();
  }
}

async function makeProject(ada: Client): Promise<Project> {
  heading('A project');
  const earlier = await ada.projects.getByName('checkout');
  if (earlier.isOk()) {
    await unwrap(ada.projects.delete(earlier.value.id));
    done(`found "${earlier.value.name}" of ${earlier.value.createdAt.toISOString()}, and deleted it to start over`);
  }
  const project = await unwrap(ada.projects.create({ name: 'Checkout', description: 'Where people pay' }));
  done(`"${project.name}" with its first environment, which is the default`);
  return project;
}

async function importDotenv(ada: Client, project: Project): Promise<Environment> {
  heading('Development, from a dotenv file');
  const development = await unwrap(ada.environments.getDefault(project.id));
  const variables = unwrap(parseVariables('dotenv', await file('development.env')));
  const filled = await unwrap(ada.environments.setVariables(development.ref, { variables }));
  table([['key', 'value'], ...filled.variables.map((variable) => [variable.key, shown(variable)])]);
  return filled;
}

async function importPostman(ada: Client, project: Project): Promise<Environment> {
  heading('Staging, from a Postman environment, and the default from now on');
  const { name, variables, leftOut } = unwrap(
    parseVariableFile('postman', await file('staging.postman_environment.json')),
  );
  const created = await unwrap(ada.environments.create({ projectId: project.id, name: name ?? 'Staging', variables }));
  for (const { key, reason } of leftOut) say(`${key} was left out: ${reason}`);
  const staging = await unwrap(ada.environments.makeDefault(created.ref));

  const { items } = await unwrap(ada.environments.list({ projectId: project.id }));
  table([
    ['environment', 'default', 'variables', 'bytes'],
    ...items.map((each) => [each.name, each.isDefault ? 'yes' : '', `${each.variableCount}`, `${each.variableBytes}`]),
  ]);
  return staging;
}

async function sendRequest(ada: Client, environment: Environment, port: number): Promise<void> {
  heading(`The request, against ${environment.name}`);
  const overrides = { PORT: String(port), userId: 'ada/lovelace' };
  const variables = await unwrap(ada.environments.resolve(environment.ref, { overrides }));
  const request = unwrap(renderRequest(signIn, variables));
  code(`POST ${request.url.replace(String(port), '<port>')}`);
  for (const [name, value] of Object.entries(request.headers)) code(`${name}: ${value}`);
  code(request.body);

  const response = await fetch(request.url, { method: 'POST', headers: request.headers, body: request.body });
  const seen = (await response.json()) as Seen;
  done(`the server saw ${seen.path.split('?')[0]} with ${JSON.stringify(seen.body)}`);
}

async function showRefusals(ada: Client, environment: Environment): Promise<void> {
  heading('What is refused');
  const missing = await ada.environments.render(environment.ref, '{{API_BASE_URL}}/orders/{{orderId}}', {
    context: 'url',
  });
  expectRefusal('a variable that nobody has set', missing);

  const circle = await unwrap(ada.environments.duplicate(environment.ref, { name: 'In a circle' }));
  const set = [
    { key: 'HOST', value: '{{DOMAIN}}' },
    { key: 'DOMAIN', value: '{{HOST}}' },
  ];
  await unwrap(ada.environments.patchVariables(circle.ref, { set }));
  expectRefusal('variables that refer to one another', await ada.environments.resolve(circle.ref));
  await unwrap(ada.environments.delete(circle.ref));

  const header = await ada.environments.render(environment.ref, 'Bearer {{token}}', {
    context: 'header',
    overrides: { token: 'x\r\nx-admin: true' },
  });
  expectRefusal('a second header smuggled into a value', header);

  const url = await ada.environments.render(environment.ref, '{{API_BASE_URL}}/users/{{userId}}', {
    context: 'url',
    overrides: { userId: '..' },
  });
  expectRefusal('a path that climbs out of where it belongs', url);

  const body = await unwrap(
    ada.environments.render(environment.ref, '{"name": "{{name}}"}', {
      context: 'json',
      overrides: { name: 'Ada", "admin": true, "x": "' },
    }),
  );
  done('a field smuggled into JSON stays a text:');
  code(body.text);
}

function expectRefusal(
  what: string,
  result: Result<unknown, { readonly code: string; readonly message: string }>,
): void {
  if (result.isOk()) throw new Error(`${what} should have been refused`);
  refused(what, result.error);
}

async function showDiff(ada: Client, development: Environment, staging: Environment): Promise<void> {
  heading(`From ${development.name} to ${staging.name}`);
  const diff: EnvironmentDiff = await unwrap(ada.environments.diff(development.ref, staging.ref));
  table([
    ['key', 'change', 'before', 'after'],
    ...diff.differences.map(({ key, change, before, after }) => [key, change, shown(before), shown(after)]),
  ]);
  say(`${diff.same} the same`);
}

async function showJournal(ada: Client): Promise<void> {
  heading('Who did what: the journal, newest first');
  const { items } = await unwrap(ada.journal.list({ limit: 9 }));
  table([
    ['time', 'actor', 'action', 'on'],
    ...items.map(({ at, actor, action, data }) => [
      at.toISOString().slice(11),
      actor.id,
      action,
      String(data['name'] ?? [data['added'], data['changed']].flat().filter(Boolean).join(', ')),
    ]),
  ]);
}

function shown(variable: Variable | null): string {
  if (variable === null) return '';
  if (variable.sensitive) return '***';
  const text = JSON.stringify(variable.value).slice(1, -1);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

await main();
