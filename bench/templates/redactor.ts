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

/** About a mebibyte of a service's log, in which no secret is. */
const line =
  '2026-11-21T09:00:00.000Z INFO  request completed method=GET path=/api/v2/users/1842/orders status=200 duration=12ms trace=4bf92f3577b34da6a3ce929d0e0e4736\n';
const log = line.repeat(Math.ceil(1_048_576 / line.length));

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
