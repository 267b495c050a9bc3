/**
 * Finds many patterns in a text at once, in time in proportion to the text whatever it holds.
 *
 * Two ways of searching take turns. What cannot hold a pattern is passed over by a sieve. From where a pattern may begin, an automaton of all patterns
 * (Aho and Corasick, 1975) reads on, character by character, until it is back near its beginning. It reads a whole window at least and gives
 * back two characters at most, so that no text can make the search go over itself again and again.
 */

import { GRAM, Sieve } from './sieve.ts';

/** Where a search stands: everything before `at` was read, and `node` is what the automaton makes of the last of it. */
export interface Cursor {
  at: number;
  node: number;
}

/** Somewhere a pattern was found. */
export type Found = (start: number, end: number) => void;

const ROOT = 0;
/** How far from its beginning the automaton may stop reading. */
const SHALLOW = 2;

export class Matcher {
  /** By node: how long the text is that leads to it. */
  readonly #depths: Int32Array;
  /** By node: the node of the longest other pattern's beginning that the text ends with. */
  readonly #fallbacks: Int32Array;
  /** By node: the length of the longest pattern that ends here, or 0. */
  readonly #found: Int32Array;
  readonly #edges: Edges;
  /** None where a pattern is too short for one: then everything is read. */
  readonly #sieve: Sieve | null;

  constructor(patterns: readonly string[]) {
    const trie = new Trie();
    for (const pattern of patterns) trie.add(pattern);
    this.#depths = Int32Array.from(trie.depths);
    this.#found = Int32Array.from(trie.ends);
    this.#edges = new Edges(trie);
    this.#fallbacks = new Int32Array(trie.depths.length);
    this.#linkFallbacks(trie);
    this.#sieve = patterns.every((pattern) => pattern.length >= GRAM) ? new Sieve(patterns) : null;
  }

  /** Breadth first, so that a fallback, which is nearer to the root, is there before it is needed. */
  #linkFallbacks(trie: Trie): void {
    const queue = [ROOT];
    for (let head = 0; head < queue.length; head++) {
      const parent = queue[head]!;
      for (let node = trie.firstChildren[parent]!; node !== ROOT; node = trie.nextSiblings[node]!) {
        const fallback = parent === ROOT ? ROOT : this.#step(this.#fallbacks[parent]!, trie.units[node]!);
        this.#fallbacks[node] = fallback;
        this.#found[node] = Math.max(this.#found[node]!, this.#found[fallback]!);
        queue.push(node);
      }
    }
  }

  #step(from: number, unit: number): number {
    let node = from;
    for (;;) {
      const next = this.#edges.follow(node, unit);
      if (next !== ROOT || node === ROOT) return next;
      node = this.#fallbacks[node]!;
    }
  }

  /** Reads on from the cursor to the end of the text, and moves it there. At the same end, only the longest pattern is told. */
  search(text: string, cursor: Cursor, found: Found): void {
    const sieve = this.#sieve;
    sieve?.reset();
    while (cursor.at < text.length) {
      if (sieve !== null && cursor.node === ROOT) {
        cursor.at = sieve.skip(text, cursor.at);
        if (cursor.at + sieve.window > text.length) break;
      }
      this.#read(text, cursor, found);
    }
  }

  /** Lets the automaton read to the end of the text, or, where there is a sieve, until little of what it read matters any more. */
  #read(text: string, cursor: Cursor, found: Found): void {
    let { at, node } = cursor;
    const readUntil = this.#sieve === null ? Infinity : at + this.#sieve.window;
    while (at < text.length) {
      node = this.#step(node, text.charCodeAt(at++));
      const length = this.#found[node]!;
      if (length > 0) found(at - length, at);
      if (at >= readUntil && this.#depths[node]! <= SHALLOW) {
        at -= this.#depths[node]!;
        node = ROOT;
        break;
      }
    }
    cursor.at = at;
    cursor.node = node;
  }

  /** No pattern that is not found yet begins before this. */
  beginning(cursor: Cursor): number {
    return cursor.at - this.#depths[cursor.node]!;
  }
}

/** The beginnings of all patterns. A node's children are a list, linked by `nextSiblings`; the root, which is nobody's child, ends it. */
class Trie {
  readonly depths = [0];
  readonly ends = [0];
  readonly units = [0];
  readonly firstChildren = [ROOT];
  readonly nextSiblings = [ROOT];

  add(pattern: string): void {
    let node = ROOT;
    for (let index = 0; index < pattern.length; index++) node = this.#child(node, pattern.charCodeAt(index));
    this.ends[node] = pattern.length;
  }

  #child(parent: number, unit: number): number {
    for (let node = this.firstChildren[parent]!; node !== ROOT; node = this.nextSiblings[node]!) {
      if (this.units[node] === unit) return node;
    }
    const node = this.depths.length;
    this.depths.push(this.depths[parent]! + 1);
    this.ends.push(0);
    this.units.push(unit);
    this.firstChildren.push(ROOT);
    this.nextSiblings.push(this.firstChildren[parent]!);
    this.firstChildren[parent] = node;
    return node;
  }
}

/** The edges of a trie in one hash table, at most half full: a step takes the same time however many children a node has. */
class Edges {
  readonly #parents: Int32Array;
  readonly #units: Uint16Array;
  readonly #children: Int32Array;
  readonly #mask: number;

  constructor(trie: Trie) {
    const size = 2 ** Math.ceil(Math.log2(trie.depths.length * 2));
    this.#mask = size - 1;
    this.#parents = new Int32Array(size);
    this.#units = new Uint16Array(size);
    this.#children = new Int32Array(size);
    for (let parent = 0; parent < trie.depths.length; parent++) {
      for (let node = trie.firstChildren[parent]!; node !== ROOT; node = trie.nextSiblings[node]!)
        this.#add(parent, trie.units[node]!, node);
    }
  }

  #add(parent: number, unit: number, child: number): void {
    let slot = this.#slot(parent, unit);
    while (this.#children[slot] !== ROOT) slot = (slot + 1) & this.#mask;
    this.#parents[slot] = parent;
    this.#units[slot] = unit;
    this.#children[slot] = child;
  }

  /** The child by that character, or the root where there is none. */
  follow(parent: number, unit: number): number {
    for (let slot = this.#slot(parent, unit); ; slot = (slot + 1) & this.#mask) {
      const child = this.#children[slot]!;
      if (child === ROOT || (this.#parents[slot] === parent && this.#units[slot] === unit)) return child;
    }
  }

  #slot(parent: number, unit: number): number {
    const hash = Math.imul(parent, 0x85ebca6b) ^ Math.imul(unit, 0xc2b2ae35);
    return (hash ^ (hash >>> 15)) & this.#mask;
  }
}
