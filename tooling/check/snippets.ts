/**
 * The TypeScript in documents compiles, as strictly as its readers may have it. What it stands on without saying so is in `snippets/context.ts`; a
 * piece that begins with the name of a file is that file of a test, which runs it.
 *
 *     node tooling/check/snippets.ts [<folder>]
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import ts from 'typescript';
import { strictOptions } from './compile.ts';
import { root } from './run.ts';

const [folder = root] = process.argv.slice(2);
const documents = globSync(['*.md', '{docs,packages,examples}/**/*.md'], {
  cwd: folder,
  exclude: (path) => /(^|\/)(node_modules|dist|CHANGELOG\.md)(\/|$)/.test(path),
});
const context = join(root, 'tooling/check/snippets/context.ts');
/** Where the packages are found that a piece imports. */
const homes = ['integrations', 'testing', 'adapter-mysql'].map((name) => join(root, 'packages', name, 'snippet.ts'));

interface Snippet {
  readonly document: string;
  /** The line of the document, counted from 0, that is the first of the code. */
  readonly line: number;
  readonly code: string;
}

const snippets = new Map(
  documents.flatMap(snippetsOf).map((snippet, index) => [join(root, `snippet-${index}.ts`), snippet]),
);
const faults = compiled();
if (snippets.size === 0) faults.push('there is no code in the documents');
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}

function snippetsOf(document: string): Snippet[] {
  const text = readFileSync(join(folder, document), 'utf8');
  return [...text.matchAll(/^```ts\n(?!\/\/ [\w-]+\.ts\n)([\s\S]*?)^```$/gm)].map(({ index, 1: code = '' }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    code: `${code}export {};\n`,
  }));
}

function compiled(): string[] {
  // What the context declares is there for all: it is no module.
  const moduleDetection = ts.ModuleDetectionKind.Legacy;
  const options = { ...strictOptions(), moduleDetection, noUnusedLocals: false, noUnusedParameters: false };
  const host = ts.createCompilerHost(options);
  const cache = ts.createModuleResolutionCache(root, (name) => name, options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (path) => snippets.has(path) || fileExists(path);
  host.getSourceFile = (path, version, ...rest) => {
    const code = snippets.get(path)?.code;
    return code === undefined ? getSourceFile(path, version, ...rest) : ts.createSourceFile(path, code, version);
  };
  host.resolveModuleNameLiterals = (names, containing, redirected, given, source) =>
    names.map((literal) => {
      const mode = ts.getModeForUsageLocation(source, literal, given);
      const from = snippets.has(containing) || containing === context ? homes : [containing];
      const found = from.map((path) => ts.resolveModuleName(literal.text, path, given, host, cache, redirected, mode));
      return found.find(({ resolvedModule }) => resolvedModule !== undefined) ?? found[0]!;
    });

  const program = ts.createProgram([context, ...snippets.keys()], options, host);
  return [context, ...snippets.keys()].flatMap((path) => {
    const source = program.getSourceFile(path)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((fault) => {
      const { document, line } = snippets.get(path) ?? { document: path, line: 0 };
      const within = source.getLineAndCharacterOfPosition(fault.start ?? 0).line;
      return `${document}:${line + within + 1} ${ts.flattenDiagnosticMessageText(fault.messageText, '\n')}`;
    });
  });
}
