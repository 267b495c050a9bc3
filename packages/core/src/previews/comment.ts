import type { PreviewStatus } from './lifecycle.ts';
import type { StoredPreview } from './model.ts';

const words: Readonly<Record<PreviewStatus, string>> = {
  initializing: '⏳ Starting',
  deploying: '🚀 Deploying',
  running_tests: '🧪 Running tests',
  running: '✅ Running',
  error: '❌ Failed',
  stopping: '⏳ Stopping',
  stopped: '💤 Stopped',
  stop_error: '⚠️ Could not be stopped',
  deleted: '🗑️ Removed',
};

/** What a comment of a preview is found again by. */
export function markerOf({ id }: Pick<StoredPreview, 'id'>): string {
  return `<!-- vivarium:preview:${id} -->`;
}

/** The comment of a preview, as it is now. Nothing in it was written by the pull request but names, which are quoted. */
export function commentOf(preview: StoredPreview, appName: string): string {
  const { status, url, sha, reason, tests, environment, waitingSha } = preview;
  const rows = [
    ['App', quoted(appName)],
    ['Environment', quoted(environment)],
    ['Status', words[status]],
    ...(url !== null && status === 'running' ? [['Address', `<${url.replace(/[<>\s|]/g, encodeURIComponent)}>`]] : []),
    ...(tests === null ? [] : [['Tests', tests]]),
    ['Commit', `\`${sha.slice(0, 12)}\``],
    ...(waitingSha === null
      ? []
      : [['Waiting', `\`${waitingSha.slice(0, 12)}\`, of a fork, for somebody to approve it`]]),
    ...(reason === null ? [] : [['Reason', quoted(reason)]]),
  ];
  return [
    markerOf(preview),
    '| Preview | |',
    '| --- | --- |',
    ...rows.map(([name, value]) => `| ${name!} | ${value!} |`),
  ].join('\n');
}

/** Text as code, in which neither Markdown nor HTML means anything. */
function quoted(text: string): string {
  const plain = text.replace(/[`|\r\n]/g, ' ').slice(0, 300);
  return `\`${plain.trim() || ' '}\``;
}
