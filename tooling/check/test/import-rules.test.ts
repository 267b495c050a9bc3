import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { ICruiseOptions, ICruiseResult } from 'dependency-cruiser';
import { afterAll, expect, test } from 'vitest';
import { root } from '../run.ts';

/** A wrong import for every rule: who imports what. */
const wrong: Record<string, readonly (readonly [from: string, to: string])[]> = {
  'no-cycles': [['packages/core/src/kernel/clock.ts', 'packages/core/src/kernel/limits.ts']],
  'kernel-stands-alone': [
    ['packages/core/src/kernel/paging.ts', 'packages/core/src/projects/model.ts'],
    ['packages/core/src/kernel/ids.ts', 'packages/core/src/operation.ts'],
  ],
  'templates-on-kernel-only': [
    ['packages/core/src/templates/run.ts', 'packages/core/src/environments/model.ts'],
    ['packages/core/src/templates/deep.ts', 'lodash'],
  ],
  'model-below-rules': [
    ['packages/core/src/projects/model.ts', 'packages/core/src/projects/rules.ts'],
    ['packages/core/src/environments/errors.ts', 'packages/core/src/projects/repository.ts'],
  ],
  'rules-below-service': [
    ['packages/core/src/projects/rules.ts', 'packages/core/src/projects/service.ts'],
    ['packages/core/src/environments/rules.ts', 'packages/core/src/storage/port.ts'],
    ['packages/core/src/environments/rules.ts', 'packages/core/src/command.ts'],
  ],
  'repository-below-service': [
    ['packages/core/src/projects/repository.ts', 'packages/core/src/projects/rules.ts'],
    ['packages/core/src/storage/memory/projects.ts', 'packages/core/src/projects/rules.ts'],
  ],
  'no-other-service': [
    ['packages/core/src/projects/service.ts', 'packages/core/src/environments/service.ts'],
    ['packages/core/src/environments/rules.ts', 'packages/core/src/projects/service.ts'],
  ],
  'core-knows-no-storage': [['packages/core/src/vivarium.ts', 'packages/core/src/storage/memory/index.ts']],
  'core-imports-no-package-of-ours': [['packages/core/src/vivarium.ts', 'packages/adapter-mysql/src/index.ts']],
  'core-does-no-io': [['packages/core/src/environments/service.ts', 'node:fs']],
  'neverthrow-through-result': [
    ['packages/core/src/operation.ts', 'neverthrow'],
    ['packages/adapter-mysql/src/index.ts', 'neverthrow'],
  ],
  'parsers-in-formats': [
    ['packages/core/src/environments/model.ts', 'yaml'],
    ['packages/core/src/vivarium.ts', 'dotenv'],
  ],
  'core-through-its-entries': [
    ['packages/adapter-mysql/src/index.ts', 'packages/core/src/environments/rules.ts'],
    ['examples/quickstart/main.ts', 'packages/core/src/vivarium.ts'],
  ],
  'packages-through-their-entries': [
    ['examples/quickstart/main.ts', 'packages/adapter-mysql/src/errors.ts'],
    ['packages/adapter-mysql/test/mysql.test.ts', 'packages/testing/src/races.ts'],
  ],
  'sql-for-its-adapters': [
    ['packages/adapter-dynamodb/src/index.ts', 'packages/sql/src/index.ts'],
    ['bench/main.ts', 'packages/sql/src/index.ts'],
  ],
  'adapters-apart': [['packages/adapter-mysql/src/index.ts', 'packages/adapter-postgres/src/index.ts']],
  'no-tests-in-what-is-published': [
    ['packages/adapter-mysql/src/index.ts', 'packages/testing/src/index.ts'],
    ['packages/adapter-mysql/src/errors.ts', 'packages/adapter-mysql/test/mysql.test.ts'],
  ],
};

/** What the layers are for: none of these may be complained about. */
const right: readonly (readonly [from: string, to: string])[] = [
  ['packages/core/src/kernel/result.ts', 'neverthrow'],
  ['packages/core/src/environments/formats/dotenv.ts', 'dotenv'],
  ['packages/core/src/previews/model.ts', 'node:crypto'],
  ['packages/core/src/previews/rules.ts', 'packages/core/src/previews/model.ts'],
  ['packages/core/src/previews/service.ts', 'packages/core/src/previews/rules.ts'],
  ['packages/core/src/previews/service.ts', 'packages/core/src/previews/repository.ts'],
  ['packages/core/src/previews/service.ts', 'packages/core/src/templates/index.ts'],
  ['packages/core/src/index.ts', 'packages/core/src/previews/service.ts'],
  ['packages/core/test/previews.test.ts', 'packages/core/src/previews/rules.ts'],
  ['packages/adapter-postgres/src/index.ts', 'packages/sql/src/index.ts'],
  ['packages/adapter-postgres/src/index.ts', 'packages/core/src/storage/index.ts'],
  ['packages/adapter-postgres/test/postgres.test.ts', 'packages/testing/src/index.ts'],
];

/** Makes a cycle of the other way, and is not reported once more. */
const wayBack = ['packages/core/src/kernel/limits.ts', 'packages/core/src/kernel/clock.ts'] as const;

const config = JSON.parse(readFileSync(join(root, '.dependency-cruiser.json'), 'utf8')) as {
  forbidden: readonly { readonly name: string }[];
  options: ICruiseOptions;
};

const baseDir = mkdtempSync(join(tmpdir(), 'vivarium-imports-'));
afterAll(() => rmSync(baseDir, { recursive: true }));

const imports = [...Object.values(wrong).flat(), ...right, wayBack];
const lines = Map.groupBy(imports, ([from]) => from);
const files = new Set(imports.flat().filter((path) => path.endsWith('.ts')));
for (const file of files) {
  mkdirSync(dirname(join(baseDir, file)), { recursive: true });
  const targets = (lines.get(file) ?? []).map(([, to]) =>
    to.endsWith('.ts') ? `./${relative(dirname(file), to)}` : to,
  );
  writeFileSync(join(baseDir, file), targets.map((target) => `import '${target}';\n`).join(''));
}

const { output } = await cruise([...new Set([...files].map((file) => file.split('/')[0] ?? ''))], {
  ...config.options,
  baseDir,
  validate: true,
  ruleSet: { forbidden: config.forbidden as never },
});
const found = (output as ICruiseResult).summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`);

test('there is a wrong import for every rule', () => {
  expect(Object.keys(wrong).toSorted()).toEqual(config.forbidden.map(({ name }) => name).toSorted());
});

test.for(Object.entries(wrong))('%s', ([rule, cases]) => {
  for (const [from, to] of cases) expect(found).toContain(`${rule}: ${from} → ${to.replace(/^node:/, '')}`);
});

test.for(right)('%s may import %s', ([from, to]) => {
  expect(found.filter((line) => line.endsWith(`: ${from} → ${to.replace(/^node:/, '')}`))).toEqual([]);
});
