import { styleText } from 'node:util';

import type { Instance } from '@vivarium/core';

const colours: Record<string, 'green' | 'yellow' | 'red' | 'dim' | 'blue'> = {
  ready_to_use: 'green',
  in_use: 'green',
  sleep: 'blue',
  destroyed: 'dim',
  acknowledged_cleanup: 'dim',
  zero_state: 'dim',
};

/** In a terminal, a table of the instances that stays below what is told; elsewhere, a line for each change of state. */
export class View {
  readonly #live = process.stdout.isTTY;
  readonly #states = new Map<string, string>();
  #instances: readonly Instance[] = [];
  #rows = 0;

  say(text: string): void {
    this.#clear();
    console.log(text);
    this.#draw();
  }

  title(text: string): void {
    this.say(`\n${styleText('bold', text)}`);
  }

  show(instances: readonly Instance[]): void {
    this.#clear();
    for (const { id, name, state } of instances) {
      if (!this.#live && this.#states.get(id) !== state) console.log(`     ${name}: ${state}`);
      this.#states.set(id, state);
    }
    this.#instances = instances;
    this.#draw();
  }

  /** Leaves the last table where it is. */
  end(): void {
    this.#rows = 0;
  }

  #clear(): void {
    if (this.#rows > 0) process.stdout.write(`\x1b[${this.#rows}A\x1b[J`);
    this.#rows = 0;
  }

  #draw(): void {
    if (!this.#live || this.#instances.length === 0) return;
    const lines = this.#instances.map(({ name, state }) => {
      const colour = colours[state] ?? (state.startsWith('failed') ? 'red' : 'yellow');
      return `  ${styleText(colour, '●')} ${name.padEnd(12)} ${styleText(colour, state)}`;
    });
    console.log(['', ...lines].join('\n'));
    this.#rows = lines.length + 1;
  }
}
