/**
 * Percentiles without a function for them. Ranking every attempt would sort them all, which takes ten times as long: so they are counted by whole
 * seconds, which an index has in their order, and only within the seconds that the percentiles fall into is there a closer look.
 */
export function attemptFigures({ from, where }: { readonly from: string; readonly where: string }): string {
  const completed = (attempts: string) => `SUM(CASE WHEN g.status = 'completed' THEN ${attempts} ELSE 0 END)`;
  const failed = `SUM(CASE WHEN g.status = 'failed' THEN g.attempts ELSE 0 END)`;
  const holds = (rank: string) => `(r.upto - r.here < ${rank} AND ${rank} <= r.upto)`;
  return `WITH
    counted AS (
      SELECT s.state, s.status, s.duration_seconds, COUNT(*) AS attempts
      FROM ${from} WHERE ${where} GROUP BY s.state, s.status, s.duration_seconds
    ),
    summed AS (
      SELECT g.state, g.status, g.duration_seconds, g.attempts AS here,
        SUM(g.attempts) OVER (PARTITION BY g.state, g.status ORDER BY g.duration_seconds) AS upto,
        SUM(g.attempts) OVER (PARTITION BY g.state) AS attempts,
        ${completed('g.attempts')} OVER (PARTITION BY g.state) AS completed,
        ${failed} OVER (PARTITION BY g.state) AS failed
      FROM counted g
    ),
    ranks AS (SELECT u.*, CEIL(u.completed * 50 / 100) AS rank50, CEIL(u.completed * 95 / 100) AS rank95 FROM summed u),
    aimed AS (
      SELECT r.state, r.attempts, r.completed, r.failed, r.rank50, r.rank95, r.upto - r.here AS below,
        CASE WHEN r.status = 'completed' AND (${holds('r.rank50')} OR ${holds('r.rank95')}) THEN r.duration_seconds END AS seconds
      FROM ranks r
    ),
    ranked AS (
      SELECT a.state, a.attempts, a.completed, a.failed, a.rank50, a.rank95, s.duration_ms,
        a.below + SUM(COUNT(*)) OVER (PARTITION BY a.state, a.seconds ORDER BY s.duration_ms) AS place
      FROM aimed a LEFT JOIN ${from}
        ON ${where} AND s.state = a.state AND s.status = 'completed' AND s.duration_seconds = a.seconds
      GROUP BY a.state, a.attempts, a.completed, a.failed, a.rank50, a.rank95, a.below, a.seconds, s.duration_ms
    )
    SELECT p.state, MAX(p.attempts) AS attempts, MAX(p.completed) AS completed, MAX(p.failed) AS failed,
      MIN(CASE WHEN p.place >= p.rank50 THEN p.duration_ms END) AS p50,
      MIN(CASE WHEN p.place >= p.rank95 THEN p.duration_ms END) AS p95
    FROM ranked p GROUP BY p.state`;
}
