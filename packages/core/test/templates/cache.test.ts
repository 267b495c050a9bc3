import { describe, expect, it } from 'vitest';
import { compile, unwrap } from '../../src/templates/index.ts';
import { parseTemplate } from '../../src/templates/template.ts';
import { TemplateCache } from '../../src/templates/template-cache.ts';

const compiled = (source: string) => parseTemplate(source, 'text');

describe('compile', () => {
  it('remembers a template by its source and context', () => {
    const source = 'cached {{A}}';
    expect(unwrap(compile(source))).toBe(unwrap(compile(['cached', '{{A}}'].join(' '))));
    expect(unwrap(compile(source, { context: 'json' }))).toBe(unwrap(compile(source, { context: 'json' })));
    expect(unwrap(compile(source, { context: 'json' }))).not.toBe(unwrap(compile(source)));
    expect(unwrap(compile(source, { context: 'json' })).context).toBe('json');
  });

  it('does not remember failures of one context as those of another', () => {
    expect(compile('mailto:{{A}}', { context: 'url' }).isErr()).toBe(true);
    expect(compile('mailto:{{A}}').isOk()).toBe(true);
    expect(compile('mailto:{{A}}', { context: 'url' }).isErr()).toBe(true);
  });
});

describe('the cache', () => {
  it('never holds more than its two generations may, in number and in characters', () => {
    const cache = new TemplateCache();
    for (let index = 0; index < 10_000; index++) cache.set(`${index}`, compiled('x'));
    expect(cache.size.templates).toBeLessThanOrEqual(2 * TemplateCache.maxTemplates);
    expect(cache.get('9999')).toBeDefined();
    expect(cache.get('0')).toBeUndefined();

    for (let index = 0; index < 100; index++) cache.set(`${index}${'x'.repeat(100_000)}`, compiled('x'));
    expect(cache.size.characters).toBeLessThanOrEqual(2 * TemplateCache.maxCharacters);
  });

  it('keeps what is in use, and forgets what is not', () => {
    const cache = new TemplateCache();
    const used = compiled('used');
    cache.set('used', used);
    cache.set('unused', compiled('unused'));
    for (let index = 0; index < 20_000; index++) {
      cache.set(`${index}`, compiled('x'));
      if (index % 500 === 0) expect(cache.get('used')).toBe(used);
    }
    expect(cache.get('unused')).toBeUndefined();
  });

  it('does not let one very large template push out all others', () => {
    const cache = new TemplateCache();
    cache.set('small', compiled('small'));
    for (let index = 0; index < 10; index++) cache.set('x'.repeat(TemplateCache.maxCharacters - index), compiled('x'));
    expect(cache.get('small')).toBeDefined();
    expect(cache.size.templates).toBe(1);
  });
});
