/**
 * Everything that a package exports has TSDoc, and so has every method of a type that core exports: a user reads them in the editor. A
 * type with one method says with its own comment what the method does; a type of an adapter may mirror a driver's.
 */
import { join, relative } from 'node:path';
import process from 'node:process';
import ts from 'typescript';
import { compile } from './compile.ts';
import { publishedPackages } from './published.ts';
import { root } from './run.ts';

const core = join(root, 'packages/core/');
const entries = publishedPackages.flatMap((published) => published.entries);
const { checker, exportsOf } = compile(entries);
const undocumented = new Set<string>();

for (const entry of entries) {
  const exported = exportsOf(entry);
  if (exported.length === 0) undocumented.add(`${relative(root, entry)} exports nothing`);
  for (const symbol of exported) inspect(symbol);
}

if (undocumented.size > 0) {
  console.error(`Exported without TSDoc:\n${[...undocumented].map((line) => `  ${line}`).join('\n')}`);
  process.exit(1);
}

function inspect(symbol: ts.Symbol): void {
  if (!isFrom(join(root, 'packages/'), symbol)) return;
  requireComment(symbol, symbol.name);
  const methods = [...(symbol.members?.values() ?? [])].filter(isPublicMethod);
  if (methods.length === 1 || !isFrom(core, symbol)) return;
  for (const method of methods) requireComment(method, `${symbol.name}.${method.name}`);
}

function requireComment(symbol: ts.Symbol, name: string): void {
  const declaration = symbol.declarations?.[0];
  if (declaration === undefined || symbol.getDocumentationComment(checker).length > 0) return;
  const source = declaration.getSourceFile();
  const line = source.getLineAndCharacterOfPosition(declaration.getStart()).line + 1;
  undocumented.add(`${relative(root, source.fileName)}:${line} ${name}`);
}

function isFrom(folder: string, { declarations = [] }: ts.Symbol): boolean {
  const paths = declarations.map((declaration) => declaration.getSourceFile().fileName);
  return paths.some((path) => path.startsWith(folder) && !path.includes('/node_modules/'));
}

function isPublicMethod({ flags, name, declarations = [] }: ts.Symbol): boolean {
  if ((flags & ts.SymbolFlags.Method) === 0 || name === 'toString' || name === 'toJSON') return false;
  return declarations.every(
    (declaration) =>
      (ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) === 0 &&
      !(ts.isMethodDeclaration(declaration) && ts.isPrivateIdentifier(declaration.name)),
  );
}
