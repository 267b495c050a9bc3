import type { JournalEntry } from '@vivarium/core';

import { among, demote, modelContext, nobody, pages, remember } from './model-context.ts';
import type { Draft } from './model-context.ts';

interface Subject {
  readonly type: string;
  readonly id: string;
}

interface Seen {
  readonly subjects: Subject[];
  readonly parked: string[];
}

const subjectOf = ({ type, id }: Subject): Subject => ({ type, id });

function choose(draft: Draft, seen: Seen, elsewhere: Seen) {
  return {
    subject: among(seen.subjects, elsewhere.subjects, draft.item, { type: 'environment', id: nobody }),
    parked: among<string | null>(seen.parked, elsewhere.parked, draft.other, null),
  };
}

/** What the journal says of what the other contexts did. */
export const journalModel = modelContext<Seen, ReturnType<typeof choose>>({
  commands: {
    'journal.list': { send: ({ journal }, choices) => pages(choices, (page) => journal.list(page)) },
    'journal.list of a subject': {
      send: ({ journal }, choices) => pages(choices, (page) => journal.list({ subject: choices.subject, ...page })),
    },
    'journal.list of a time': {
      send: ({ journal }, choices) => {
        const { clock, draft } = choices;
        const to = new Date(clock.now().getTime() - draft.other);
        const from = new Date(to.getTime() - draft.text);
        return pages(choices, (page) => journal.list({ from, to, action: 'environment.created', ...page }));
      },
    },
    'journal.deliver': {
      weight: 3,
      send: async ({ journal }, { draft }) => {
        const handled: JournalEntry[] = [];
        const report = await journal.deliver({
          handler: (entry) => {
            handled.push(entry);
            if (draft.other % 3 > 0 && entry.sequence % 3 === draft.other % 3) throw new Error(`not ${entry.sequence}`);
          },
          batch: draft.limit,
          maxAttempts: 1 + (draft.text % 2),
        });
        // Lanes have no order among themselves, the entries of one subject have.
        const byStream = handled.toSorted((a, b) => (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : 0));
        return report.isOk() ? { ok: { report: report.value, byStream } } : { error: report.error };
      },
    },
    'journal.listParked': {
      weight: 2,
      send: ({ journal }, choices) => pages(choices, (page) => journal.listParked(page)),
    },
    'journal.retryParked': {
      weight: 2,
      send: async ({ journal }, { parked }) => {
        if (parked !== null) return journal.retryParked(parked);
        const newest = await journal.listParked({ limit: 1 });
        return newest.isErr() ? newest : journal.retryParked(newest.value.items[0]?.entry.id ?? nobody);
      },
    },
    'journal.prune': {
      send: ({ journal }, { clock, draft }) =>
        journal.prune({
          before: new Date(clock.now().getTime() - draft.other),
          undelivered: draft.limit % 2 === 0 ? 'keep' : 'drop',
        }),
    },
  },

  beginning: [],
  ending: [{ command: 'journal.list' }, { command: 'journal.listParked' }],

  nothingSeen: () => ({ subjects: [], parked: [] }),
  choose,

  learn({ subject, reason, entry }, { subjects, parked }) {
    if (subject !== undefined) remember(subjects, subjectOf(subject as Subject));
    const { id } = (entry ?? {}) as { id?: string };
    if (reason !== undefined && id !== undefined) remember(parked, id);
  },

  forget(command, choices, { parked }) {
    if (command === 'journal.retryParked') demote(parked, (id) => id === choices.parked);
  },
});
