/**
 * Finds many patterns in a text at once, in time in proportion to the text whatever it holds.
 *
 * Two ways of searching take turns. While nothing looks like a pattern, the text is skipped through (Wu and Manber, 1994): three characters
 * at the end of a window as long as the shortest pattern tell how far the window can move without passing over anything. Where they do not
 * let it move, an automaton of all patterns (Aho and Corasick, 1975) reads on, character by character, until it is back near its beginning. It
 * reads a whole window at least and gives back two characters at most, so that no text can make the search go over itself again and
 * again.
 */

/** Where a search stands: everything before `at` was read, and `node` is what the automaton makes of the last of it. */
export interface Cursor {
  at: number;
  node: number;
}

/** Somewhere a pattern was found. */
export type Found = (start: number, end: number) => void;

const ROOT = 0;
/** Below this length of the shortest pattern there is nothing to skip. */
const SHORTEST_WINDOW = 4;
const BLOCK = 3;
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
  /** The length of the shortest pattern, or 0 where it is too short to skip. */
  readonly #window: number;
  /** By hash of three characters: how far a window that ends with them can move. */
  readonly #shifts: Uint8Array;

  constructor(patterns: readonly string[]) {
    const trie = new Trie();
    for (const pattern of patterns) trie.add(pattern);
    this.#depths = Int32Array.from(trie.depths);
    this.#found = Int32Array.from(trie.ends);
    this.#edges = new Edges(trie);
    this.#fallbacks = new Int32Array(trie.depths.length);
    this.#linkFallbacks(trie);

    const shortest = patterns.reduce((length, pattern) => Math.min(length, pattern.length), 255);
    this.#window = shortest >= SHORTEST_WINDOW ? shortest : 0;
    this.#shifts = shiftsOf(patterns, this.#window);
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
    let { at, node } = cursor;
    let readUntil = 0;
    while (at < text.length) {
      if (node === ROOT && this.#window > 0) {
        at = this.#skip(text, at);
        if (at + this.#window > text.length) break;
        readUntil = at + this.#window;
      }
      while (at < text.length) {
        node = this.#step(node, text.charCodeAt(at++));
        const length = this.#found[node]!;
        if (length > 0) found(at - length, at);
        if (this.#window > 0 && at >= readUntil && this.#depths[node]! <= SHALLOW) {
          at -= this.#depths[node]!;
          node = ROOT;
          break;
        }
      }
    }
    cursor.at = at;
    cursor.node = node;
  }

  /** No pattern that is not found yet begins before this. */
  beginning(cursor: Cursor): number {
    return cursor.at - this.#depths[cursor.node]!;
  }

  /** The first place from `at` on where a pattern may begin, or one too near to the end of the text to tell. */
  #skip(text: string, at: number): number {
    const window = this.#window;
    const shifts = this.#shifts;
    const end = text.length;
    const shiftBits = 32 - Math.log2(shifts.length);
    let last = at + window - 1;
    while (last < end) {
      const block = text.charCodeAt(last - 2) | (text.charCodeAt(last - 1) << 8) | (text.charCodeAt(last) << 16);
      const shift = shifts[Math.imul(block, 0x9e3779b1) >>> shiftBits]!;
      if (shift === 0) break;
      last += shift;
    }
    return last - window + 1;
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

/** For each three characters in the first `window` of any pattern, how far they are from its end there. All others let the window pass them. */
function shiftsOf(patterns: readonly string[], window: number): Uint8Array {
  const blocks = Math.max(1, patterns.length * window);
  const bits = Math.min(18, Math.max(8, Math.ceil(Math.log2(blocks * 16))));
  const shifts = new Uint8Array(2 ** bits).fill(Math.max(0, window - BLOCK + 1));
  for (const pattern of window === 0 ? [] : patterns) {
    for (let last = BLOCK - 1; last < window; last++) {
      const block =
        pattern.charCodeAt(last - 2) | (pattern.charCodeAt(last - 1) << 8) | (pattern.charCodeAt(last) << 16);
      const hash = Math.imul(block, 0x9e3779b1) >>> (32 - bits);
      shifts[hash] = Math.min(shifts[hash]!, window - 1 - last);
    }
  }
  return shifts;
}
