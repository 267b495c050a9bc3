import { describe, expect, test } from 'vitest';

import { commentOf, markerOf } from '../../src/previews/comment.ts';
import { previewStatuses } from '../../src/previews/lifecycle.ts';
import { preview, second } from './making.ts';

describe('the comment of a preview', () => {
  test('has its marker and says where the preview is, in every status', () => {
    const bodies = previewStatuses.map((status) => commentOf(preview({ status }), 'shop'));
    for (const body of bodies) expect(body.startsWith(`${markerOf(preview())}\n`)).toBe(true);
    expect(new Set(bodies).size).toBe(previewStatuses.length);
  });

  test('shows the address only while it runs', () => {
    const url = 'https://pr-7.example.com/a?b=c';
    expect(commentOf(preview({ status: 'running', url }), 'shop')).toContain(`<${url}>`);
    expect(commentOf(preview({ status: 'stopped', url }), 'shop')).not.toContain(url);
  });

  test('says why it failed, and which commit of a fork waits', () => {
    expect(commentOf(preview({ status: 'error', reason: 'no memory' }), 'shop')).toContain('`no memory`');
    expect(commentOf(preview({ waitingSha: second }), 'shop')).toContain(second.slice(0, 12));
  });

  test('lets nothing that others have named become Markdown or HTML', () => {
    const reason = '`|\n<img src=x onerror=alert(1)>\n| @everyone [x](javascript:alert(1))';
    const body = commentOf(preview({ status: 'error', reason }), 'sh`op | <b>');
    const rows = body.split('\n');
    expect(rows).toHaveLength(8);
    for (const row of rows.slice(1)) {
      const outsideOfCode = row.replaceAll(/`[^`]*`/g, '');
      expect(outsideOfCode).not.toMatch(/[<>[\]@]/);
      expect(outsideOfCode.match(/\|/g)).toHaveLength(3);
    }
    const url = 'https://x.example/?a=<script>|b';
    expect(commentOf(preview({ status: 'running', url }), 'shop')).not.toContain('<script>');
  });
});
