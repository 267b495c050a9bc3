import { describe, expect, it } from 'vitest';
import { compile, render, resolveVariables, unwrap } from '../../src/templates/index.ts';
import { Snapshot } from '../../src/templates/snapshot.ts';
import { snapshotOf } from '../../src/templates/variables.ts';

const filling = (length: number) => ({ pieces: [], length, secret: false, used: [] });

describe('what a snapshot remembers', () => {
  it('is how slots were filled, and never an output', () => {
    const resolved = unwrap(resolveVariables({ A: 'a b', B: 'c' }));
    const template = unwrap(compile('https://h/{{A}}/{{B}}', { context: 'url' }));
    unwrap(template.render(resolved));
    const [remembered] = snapshotOf(resolved)!.fillings.values();
    expect(remembered!.pieces).toEqual(['https://h/', 'a%20b/', 'c']);
    expect(remembered!.pieces).not.toContain(unwrap(template.render(resolved)).text);
  });

  it.each([
    ['a dynamic variable', '{{$uuid}}'],
    ['a dynamic variable beside others', '{{A}}{{$uuid}}'],
    ['a variable that is missing', '{{NONE}}'],
    ['a variable that refers to something missing', '{{GAP}}'],
    ['a dynamic variable of the host', '{{$mine:-default}}'],
  ])('is nothing that may be different the next time: %s', (_, source) => {
    const resolved = unwrap(resolveVariables({ A: 'a', GAP: '{{NONE}}' }));
    const template = unwrap(compile(source));
    for (const missing of ['keep', 'empty', 'keep'] as const) unwrap(template.render(resolved, { missing }));
    expect(snapshotOf(resolved)!.fillings.size).toBe(0);
    expect(unwrap(render('{{$mine:-default}}', resolved, { dynamic: { $mine: () => 'mine' } })).text).toBe('mine');
    expect(unwrap(render('{{$mine:-default}}', resolved)).text).toBe('default');
  });

  it('is bounded in characters and in number', () => {
    const snapshot = new Snapshot(new Map());
    for (let index = 0; index < 100_000; index++) snapshot.remember(index, 'x', filling(1));
    expect(snapshot.fillings.size).toBeLessThan(20_000);
    expect(snapshot.room).toBeGreaterThanOrEqual(0);
    const other = new Snapshot(new Map());
    other.remember(0, 'x', filling(2_000_000));
    expect(other.fillings.size).toBe(0);
    for (let index = 0; index < 100; index++) other.remember(index, 'x'.repeat(10_000), filling(90_000));
    expect(other.fillings.size).toBe(10);
  });

  it('does not get in the way of the limits of another call', () => {
    const resolved = unwrap(resolveVariables({ A: 'é'.repeat(10) }));
    const template = unwrap(compile('{{A}}'));
    expect(unwrap(template.render(resolved)).text).toHaveLength(10);
    expect(template.render(resolved, { maxBytes: 19 })._unsafeUnwrapErr().code).toBe('output_too_large');
    expect(template.render(resolved, { maxBytes: 9 })._unsafeUnwrapErr().code).toBe('output_too_large');
    expect(template.render(resolved, { maxBytes: 20 }).isOk()).toBe(true);
  });
});
