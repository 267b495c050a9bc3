import { createHash } from 'node:crypto';
import { createRedactor } from '@vivarium/core/templates';
import { touch } from './interleave.ts';
import type { Contestant } from './interleave.ts';

/** A hundred secrets of 32 characters, as tokens are; always the same. */
export const secrets: readonly string[] = Array.from({ length: 100 }, (_, index) => token(index + 1));

function token(seed: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let state = seed * 2_654_435_761;
  return Array.from({ length: 32 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return alphabet[state >>> 26]!;
  }).join('');
}

/** About a mebibyte of a service's log, in which no secret is and no two lines are the same; always the same. */
const log = Array.from({ length: 6_800 }, (_, index) => logLine(index)).join('');

function logLine(index: number): string {
  const time = new Date(Date.UTC(2026, 10, 21) + index * 1_234).toISOString();
  const level = ['INFO ', 'INFO ', 'DEBUG', 'WARN '][index % 4]!;
  const event = ['request completed', 'connection opened', 'cache missed, reading from the storage'][index % 3]!;
  const trace = createHash('md5').update(String(index)).digest('hex');
  const path = `/api/v2/users/${(index * 7_919) % 99_991}/orders`;
  return `${time} ${level} ${event} method=GET path=${path} status=200 duration=${index % 211}ms trace=${trace}\n`;
}

/** The forms of a secret that nearly everybody thinks of: fewer than the redactor looks for. */
function forms(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString('base64'),
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
  ];
}

export function redactorContestants(): Contestant[] {
  const redactor = createRedactor(secrets);
  const decoder = new TextDecoder();
  const bytes = new TextEncoder().encode(log);
  const escaped = [...new Set(secrets.flatMap(forms))].map((form) =>
    form.replace(/[$()*+./?[\\\]^{|}]/g, String.raw`\$&`),
  );
  const expression = new RegExp(escaped.join('|'), 'g');
  return [
    { name: 'TextDecoder', work: () => touch(decoder.decode(bytes)) },
    { name: 'vivarium, redactor', work: () => touch(redactor.text(log)) },
    { name: 'one regular expression', work: () => touch(log.replace(expression, '***')) },
    {
      name: 'replaceAll, form by form',
      work: () => {
        let text = log;
        for (const secret of secrets) for (const form of forms(secret)) text = text.replaceAll(form, '***');
        return touch(text);
      },
    },
  ];
}
