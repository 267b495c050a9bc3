import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';

import { unwrap } from '@vivarium/core';
import type { App, Client, Preview, PreviewStatus } from '@vivarium/core';
import { say, table } from 'quickstart/terminal.ts';

const colours: Readonly<Record<PreviewStatus, 'green' | 'yellow' | 'red' | 'dim'>> = {
  initializing: 'yellow',
  deploying: 'yellow',
  running_tests: 'yellow',
  running: 'green',
  error: 'red',
  stopping: 'yellow',
  stopped: 'dim',
  stop_error: 'red',
  deleted: 'dim',
};

/** Watches the previews of an app, and tells how they live. */
export class Lives {
  readonly #client: Client;
  readonly #app: App;
  readonly #seen = new Map<string, string>();

  constructor(client: Client, app: App) {
    this.#client = client;
    this.#app = app;
  }

  /** Waits until the preview is as it should be, and says meanwhile what happens to all of them. */
  async until(environment: string, isSo: (preview: Preview) => boolean): Promise<Preview> {
    for (let look = 0; look < 600; look++) {
      const found = (await this.#look()).find((preview) => preview.environment === environment);
      if (found !== undefined && isSo(found)) return found;
      await pause(40);
    }
    throw new Error(`${environment} did not get there`);
  }

  /** The life of each preview, from its first day: what the journal says, the comment as people see it, and its deployments. */
  async tell(comments: readonly { readonly body: string; readonly pullRequest: number }[]): Promise<void> {
    for (const preview of (await this.#look()).toReversed()) {
      const { id, environment, branch, headRepo, fork } = preview;
      const where = `${fork ? `${headRepo}:` : ''}${branch}`;
      console.log(`\n   ${styleText('bold', environment)} ${styleText('dim', where)}`);
      say(await this.#journeyOf(id));
      const comment = comments.find(({ pullRequest }) => pullRequest === preview.pullRequest);
      if (comment !== undefined) show(comment.body);
      await this.#deployments(id);
    }
  }

  async #look(): Promise<readonly Preview[]> {
    const { items } = await unwrap(this.#client.previews.list({ appId: this.#app.id }));
    for (const { id, environment, status, generation, sha, reason, waitingSha } of items) {
      const now = `${status} ${generation} ${waitingSha}`;
      if (this.#seen.get(id) === now) continue;
      this.#seen.set(id, now);
      const what =
        waitingSha === null ? `run ${generation}, ${sha.slice(0, 7)}` : `${waitingSha.slice(0, 7)} waits for a person`;
      const why = reason === null ? '' : styleText('red', `: ${reason}`);
      say(`${styleText(colours[status], '●')} ${environment.padEnd(10)} ${status.padEnd(13)} ${what}${why}`);
    }
    return items;
  }

  /** Every status that it had, once for each time that it had it. */
  async #journeyOf(id: string): Promise<string> {
    const subject = { type: 'project_environment', id };
    const { items } = await unwrap(this.#client.journal.list({ subject, limit: 100 }));
    const statuses = items.toReversed().flatMap(({ data }) => {
      const status = data['status'] as PreviewStatus | undefined;
      return status === undefined || data['why'] !== undefined ? [] : [status];
    });
    const journey = statuses.filter((status, index) => status !== statuses[index - 1]);
    return journey.map((status) => styleText(colours[status], status)).join(styleText('dim', ' → '));
  }

  async #deployments(projectEnvironmentId: string): Promise<void> {
    const { items } = await unwrap(this.#client.deployments.history({ projectEnvironmentId }));
    if (items.length === 0) return;
    const rows = items.map(({ sequence, sha, status, url, description }) => [
      `${sequence}`,
      sha?.slice(0, 7) ?? '',
      status,
      url ?? description ?? '',
    ]);
    table([['deployment', 'commit', 'status', ''], ...rows.toReversed()]);
  }
}

/** A comment as GitHub shows it, more or less: without what is invisible, and a table as a table. */
function show(body: string): void {
  const rows = body
    .split('\n')
    .filter((line) => line.startsWith('|') && !line.startsWith('| -'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replace(/[`<>]/g, '')),
    );
  const width = Math.max(...rows.flat().map((cell) => cell.length)) + 14;
  say(styleText('dim', `╭${'─'.repeat(width)}`));
  for (const [name = '', value = ''] of rows) {
    say(`${styleText('dim', '│')} ${styleText(value === '' ? 'bold' : 'dim', name.padEnd(12))} ${value}`);
  }
  say(styleText('dim', `╰${'─'.repeat(width)}`));
}
