import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './run.ts';

/** A look at sources as the compiler sees them. */
export interface Compiled {
  readonly checker: ts.TypeChecker;
  /** What a module exports, each followed to where it is declared; nothing where there is no such module. */
  exportsOf(path: string): ts.Symbol[];
}

/** The options of the workspace. */
export function strictOptions(): ts.CompilerOptions {
  const config = join(root, 'tsconfig.base.json');
  const { compilerOptions } = ts.parseConfigFileTextToJson(config, readFileSync(config, 'utf8')).config as {
    compilerOptions: Record<string, unknown>;
  };
  return ts.convertCompilerOptionsFromJson(compilerOptions, root).options;
}

/** Compiles the modules, and what they import, with the options of the workspace. */
export function compile(paths: readonly string[]): Compiled {
  const program = ts.createProgram(paths, strictOptions());
  const checker = program.getTypeChecker();
  return {
    checker,
    exportsOf(path) {
      const source = program.getSourceFile(path);
      const module = source && checker.getSymbolAtLocation(source);
      if (module === undefined) return [];
      return checker
        .getExportsOfModule(module)
        .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol));
    },
  };
}
