/** Whatever a document points to in this repository is there. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { root } from './run.ts';

const documents = globSync(['*.md', '{docs,packages,examples,bench,tooling}/**/*.md'], {
  cwd: root,
  exclude: (path) => /(^|\/)(node_modules|dist|consumers)(\/|$)/.test(path),
});

const broken = documents.flatMap((document) => {
  const targets = [...readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(
    ([, target]) => target ?? '',
  );
  return targets
    .filter((target) => !existsSync(join(root, dirname(document), decodeURIComponent(target))))
    .map((target) => `${document} points to ${target}, which is not there`);
});
if (broken.length > 0) {
  console.error(broken.join('\n'));
  process.exit(1);
}
