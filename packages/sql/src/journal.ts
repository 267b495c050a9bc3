/** The journal's port in SQL: first the statements that its methods send, then the methods. */
import { laneCount } from '@vivarium/core/storage';
import type { ClaimedLane, JournalEntry, JournalFilter, JournalRepository, Lease } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect } from './dialect.ts';
import type { Step } from './plan.ts';
import { pageOf, read } from './read.ts';
import { entryColumns, toEntry } from './rows.ts';
import { compile } from './statement.ts';
import type { Statement } from './statement.ts';
import { journalSteps, planName, write, writeIf } from './write.ts';
import type { Session } from './write.ts';

/** What `list` may be asked for, each with the condition that it puts. */
const conditions = {
  subject: 'j.subject_type = :subjectType::text AND j.subject_id = :subjectId::text',
  action: 'j.action = :action::text',
  actor: 'j.actor_type = :actorType::text AND j.actor_id = :actorId::text',
  from: 'j.at >= :from::time',
  to: 'j.at < :to::time',
} satisfies Record<keyof JournalFilter, string>;

export function journalStatements(dialect: Dialect) {
  const { table } = dialect;
  const columns = entryColumns(dialect, 'j');
  const statement = (name: string, text: string) => compile(dialect, `journal.${name}`, text);

  const queueWithEntry = `${table('journal_queue')} q JOIN ${table('journal')} j
    ON j.org_id = q.org_id AND j.stream = q.stream AND j.sequence = q.sequence`;
  /** The entry is due, and so is everything before it in its stream: only a stream's head is ever tried, so that only a head can wait. */
  const due = `q.parked_at IS NULL AND q.due_at <= :now::time AND NOT EXISTS (
      SELECT 1 FROM ${table('journal_queue')} w
      WHERE w.org_id = q.org_id AND w.stream = q.stream AND w.sequence < q.sequence AND w.parked_at IS NULL AND w.due_at > :now::time
    )`;

  const lists = new Map<string, Statement>();
  /** One statement for each combination of conditions, so that each can use its index. */
  const list = (filter: JournalFilter, further: boolean): Statement => {
    const asked = (Object.keys(conditions) as (keyof JournalFilter)[]).filter((name) => filter[name] !== undefined);
    const name = ['list', ...asked, ...(further ? ['further'] : [])].join('+');
    const known = lists.get(name);
    if (known !== undefined) return known;
    const where = [
      'j.org_id = :org::text',
      ...asked.map((one) => conditions[one]),
      ...(further ? [dialect.before(['j.at', 'j.id'], [':afterAt::time', ':afterId::uuid'])] : []),
    ];
    const made = statement(
      name,
      `SELECT ${columns} FROM ${table('journal')} j WHERE ${where.join(' AND ')}
      ORDER BY j.at DESC, j.id DESC LIMIT :limit::integer`,
    );
    lists.set(name, made);
    return made;
  };

  const parked = (name: string, which: string) =>
    statement(
      name,
      `SELECT ${columns}, q.attempts, ${dialect.asText('time', 'q.parked_at')} AS parked_at, q.reason FROM ${queueWithEntry}
      WHERE q.org_id = :org::text AND q.parked_at IS NOT NULL ${which}
      ORDER BY q.at, q.entry_id LIMIT :limit::integer`,
    );

  return {
    list,

    /** The lane of the oldest entry that can be delivered now and whose lane nobody holds. `:except` has a 1 for each lane to leave out. */
    freeLane: statement(
      'freeLane',
      `SELECT q.lane, l.token
      FROM ${table('journal_queue')} q
        LEFT JOIN ${table('journal_lanes')} l ON l.org_id = q.org_id AND l.lane = q.lane
      WHERE q.org_id = :org::text AND ${due}
        AND (l.token IS NULL OR l.lease_until <= :now::time)
        AND SUBSTR(:except::text, q.lane + 1, 1) = '0'
      ORDER BY q.at, q.entry_id LIMIT 1`,
    ),

    /** The streams with the oldest entries that can be delivered, and of each its entries in their sequence. */
    laneEntries: statement(
      'laneEntries',
      `SELECT ${columns}, q.attempts
      FROM (
          SELECT o.stream, MIN(o.at) AS since
          FROM (
            SELECT q.stream, q.at FROM ${table('journal_queue')} q
            WHERE q.org_id = :org::text AND q.lane = :lane::integer AND ${due}
            ORDER BY q.at, q.entry_id LIMIT :limit::integer
          ) o
          GROUP BY o.stream
        ) s
        JOIN (${queueWithEntry}) ON q.org_id = :org::text AND q.stream = s.stream
      WHERE ${due}
      ORDER BY s.since, q.stream, q.sequence LIMIT :limit::integer`,
    ),

    listParked: parked('listParked', ''),
    listParkedFurther: parked(
      'listParkedFurther',
      `AND ${dialect.after(['q.at', 'q.entry_id'], [':afterAt::time', ':afterId::uuid'])}`,
    ),

    prune: { keep: pruning(dialect, 'keep'), drop: pruning(dialect, 'drop') },
  };
}

interface Pruning {
  /** Lists what is to go, where the deletions have to be told. */
  readonly look: Statement | null;
  /** Keys, then what waits, then entries. What the last of them took is what counts. */
  readonly deletions: readonly Statement[];
}

function pruning(dialect: Dialect, undelivered: 'keep' | 'drop'): Pruning {
  const { table, deleting } = dialect;
  const waiting = `SELECT 1 FROM ${table('journal_queue')} q WHERE q.org_id = j.org_id AND q.stream = j.stream AND q.sequence = j.sequence`;
  const old = `SELECT j.stream, j.sequence FROM ${table('journal')} j
    WHERE j.org_id = :org::text AND j.at < :before::time ${undelivered === 'keep' ? `AND NOT EXISTS (${waiting})` : ''}
    ORDER BY j.at, j.id LIMIT :limit::integer`;
  const keys = `DELETE FROM ${table('idempotency_keys')} WHERE org_id = :org::text AND expires_at <= :now::time`;
  const from = undelivered === 'keep' ? (['journal'] as const) : (['journal_queue', 'journal'] as const);

  const name = `journal.prune+${undelivered}`;
  const deletion = (text: string, index: number) => compile(dialect, `${name}+${index}`, text, 'writes');
  if ('listed' in deleting) {
    const listed = from.map((one) => deleting.listed(table(one), ':listed::json'));
    return { look: compile(dialect, `${name}+look`, old), deletions: [keys, ...listed].map(deletion) };
  }
  const named = from.map(
    (one) =>
      `DELETE FROM ${table(one)} WHERE org_id = :org::text AND (stream, sequence) IN (SELECT d.stream, d.sequence FROM (${old}) d)`,
  );
  return { look: null, deletions: [deleting.together([keys, ...named])].map(deletion) };
}

export function sqlJournal(session: Session, statements: ReturnType<typeof journalStatements>): JournalRepository {
  const entriesOf = async (orgId: string, lane: number, now: Date, limit: number): Promise<ClaimedLane['entries']> => {
    const rows = await read(session, statements.laneEntries, { org: orgId, lane, now, limit });
    return rows.map((row) => ({ entry: toEntry(row), attempts: Number(row['attempts']) }));
  };

  return {
    append: (change) =>
      answer(() =>
        write<never>(session, change, {
          name: planName('journal.append', change),
          orgId: change.orgId,
          steps: journalSteps(change),
          key: change.key,
          diagnosis: null,
        }),
      ),

    list: (orgId, filter, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.list(filter, after !== null), {
          org: orgId,
          limit: limit + 1,
          ...(filter.subject && { subjectType: filter.subject.type, subjectId: filter.subject.id }),
          ...(filter.action !== undefined && { action: filter.action }),
          ...(filter.actor && { actorType: filter.actor.type, actorId: filter.actor.id }),
          ...(filter.from && { from: filter.from }),
          ...(filter.to && { to: filter.to }),
          ...(after && { afterAt: new Date(after.at), afterId: after.id }),
        });
        return pageOf(rows, limit, toEntry);
      }),

    /**
     * Sees a free lane, takes it, reads it. Its entries are read under the lease, so that nothing is read that another holder has done. A lane
     * that another was quicker to take, or to empty, is left out of the next look.
     */
    claim: ({ orgId, now, leaseUntil, token, limit, except }) =>
      answer(async () => {
        const leftOut = new Set(except);
        for (;;) {
          const [free] = await read(session, statements.freeLane, { org: orgId, now, except: lanesAsText(leftOut) });
          if (free === undefined) return null;
          const lane = Number(free['lane']);
          const lease = { orgId, lane, token };
          if (await takeLane(session, lease, { now, leaseUntil, known: free['token'] != null })) {
            const entries = await entriesOf(orgId, lane, now, limit);
            if (entries.length > 0) return { lane, entries };
            await freeLane(session, lease);
          }
          leftOut.add(lane);
        }
      }),

    renew: (lease, until) =>
      answer(() =>
        writeIf(session, {
          name: 'journal.renew',
          orgId: lease.orgId,
          steps: [
            {
              do: 'update',
              table: 'journal_lanes',
              set: { lease_until: until },
              where: heldBy(lease),
              rows: 1,
              else: 'lost',
            },
          ],
          key: null,
          diagnosis: null,
        }),
      ),

    acknowledge: (lease, entry) =>
      answer(() =>
        writeIf(session, {
          name: 'journal.acknowledge',
          orgId: lease.orgId,
          steps: [
            holdLane(lease),
            { do: 'delete', table: 'journal_queue', where: placeOf(lease, entry), rows: 'any', else: 'gone' },
          ],
          key: null,
          diagnosis: null,
        }),
      ),

    fail: (lease, entry, failure) =>
      answer(() => {
        const parks = 'parkedAt' in failure;
        return writeIf(session, {
          name: parks ? 'journal.fail+park' : 'journal.fail',
          orgId: lease.orgId,
          steps: [
            holdLane(lease),
            {
              do: 'update',
              table: 'journal_queue',
              set: parks
                ? { attempts: failure.attempts, parked_at: failure.parkedAt, reason: failure.reason }
                : { attempts: failure.attempts, due_at: failure.retryAt },
              where: placeOf(lease, entry),
              rows: 'any',
              else: 'gone',
            },
          ],
          key: null,
          diagnosis: null,
        });
      }),

    release: (lease) => answer(() => freeLane(session, lease)),

    listParked: (orgId, { limit, after }) =>
      answer(async () => {
        const page = { org: orgId, limit: limit + 1 };
        const rows =
          after === null
            ? await read(session, statements.listParked, page)
            : await read(session, statements.listParkedFurther, {
                ...page,
                afterAt: new Date(after.at),
                afterId: after.id,
              });
        return pageOf(rows, limit, (row) => ({
          entry: toEntry(row),
          attempts: Number(row['attempts']),
          parkedAt: new Date(row['parked_at'] as string),
          reason: row['reason'] as string,
        }));
      }),

    retryParked: (orgId, entryId, now) =>
      answer(() =>
        writeIf(session, {
          name: 'journal.retryParked',
          orgId,
          steps: [
            {
              do: 'update',
              table: 'journal_queue',
              set: { attempts: 0, due_at: now, parked_at: null, reason: null },
              where: { org_id: orgId, entry_id: entryId, parked_at: { present: true } },
              rows: 1,
              else: 'not_parked',
            },
          ],
          key: null,
          diagnosis: null,
        }),
      ),

    prune: ({ orgId, before, now, undelivered, limit }) =>
      answer(async () => {
        const { look, deletions } = statements.prune[undelivered];
        const given = { org: orgId, before, now, limit };
        const listed = look === null ? null : JSON.stringify(await read(session, look, given));
        let deleted = 0;
        for (const deletion of deletions) {
          deleted = Number((await read(session, deletion, { ...given, listed }))[0]!['deleted']);
        }
        return deleted;
      }),
  };
}

/** One character for each lane: 1 for those in the set. */
function lanesAsText(lanes: ReadonlySet<number>): string {
  return Array.from({ length: laneCount }, (_none, lane) => (lanes.has(lane) ? '1' : '0')).join('');
}

const heldBy = ({ orgId, lane, token }: Lease) => ({ org_id: orgId, lane, token });

/** Whoever comes to take the lane over waits until what is done under the lease has committed. */
function holdLane(lease: Lease): Step<'lost'> {
  return { do: 'hold', table: 'journal_lanes', stays: 'unchanged', where: heldBy(lease), else: 'lost' };
}

function placeOf({ orgId }: Lease, { stream, sequence }: JournalEntry) {
  return { org_id: orgId, stream, sequence };
}

/** Takes a lane whose lease is over. The first holder ever makes the lane's row. */
async function takeLane(
  session: Session,
  lease: Lease,
  { now, leaseUntil, known }: { readonly now: Date; readonly leaseUntil: Date; readonly known: boolean },
): Promise<boolean> {
  const { orgId, lane, token } = lease;
  return writeIf(session, {
    name: known ? 'journal.take' : 'journal.take+first',
    orgId,
    steps: [
      known
        ? {
            do: 'update',
            table: 'journal_lanes',
            set: { token, lease_until: leaseUntil },
            where: { org_id: orgId, lane, lease_until: { '<=': now } },
            rows: 1,
            else: 'taken',
          }
        : {
            do: 'insert',
            table: 'journal_lanes',
            rows: [{ org_id: orgId, lane, token, lease_until: leaseUntil }],
            violations: { vivarium_journal_lane: 'taken' },
          },
    ],
    key: null,
    diagnosis: null,
  });
}

/** Nobody's token is left behind: a handler that comes late finds its lease lost. */
async function freeLane(session: Session, lease: Lease): Promise<void> {
  await writeIf(session, {
    name: 'journal.release',
    orgId: lease.orgId,
    steps: [
      {
        do: 'update',
        table: 'journal_lanes',
        set: { token: '', lease_until: new Date(0) },
        where: heldBy(lease),
        rows: 1,
        else: 'lost',
      },
    ],
    key: null,
    diagnosis: null,
  });
}
