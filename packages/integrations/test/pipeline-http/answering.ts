import { err, ok, ResultAsync } from '@vivarium/core';

import type { CompletingVivarium, Completion } from '../../src/pipeline-http/index.ts';

type Failure = { readonly code: string; readonly message: string };

/** A Vivarium that answers each completion in one way, and remembers whom it was asked for. */
export function answering(failure: Failure | null = null) {
  const asked: (Completion & { readonly org: string })[] = [];
  const vivarium: CompletingVivarium = {
    system: (org) => ({
      ephemeral: {
        stateChanges: {
          complete: (completion) => {
            asked.push({ org, ...completion });
            return new ResultAsync<unknown, Failure>(
              Promise.resolve(failure === null ? ok({ id: 'x' }) : err(failure)),
            );
          },
        },
      },
    }),
  };
  return { vivarium, asked };
}
