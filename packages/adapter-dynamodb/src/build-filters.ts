/** What lists are filtered by, where the places in them say it already. */
import type { BuildFilter, FailureFilter } from '@vivarium/core/storage';

import { text } from './attributes.ts';
import { flag } from './build-items.ts';
import { all, equal } from './expressions.ts';
import type { Condition } from './expressions.ts';

const attributes = {
  projectId: 'project',
  platformId: 'platform',
  osVersionId: 'osVersion',
  imageTypeId: 'imageType',
  status: 'status',
} as const;

/** Builds that are of these; `undefined` when any will do. */
export function buildsOf(filter: { readonly [Field in keyof BuildFilter]: string | undefined }): Condition | undefined {
  return together(
    (Object.keys(attributes) as (keyof BuildFilter)[]).map((field) => {
      const value = filter[field];
      return value === undefined ? undefined : equal(attributes[field], text(value));
    }),
  );
}

export function failuresOf({ resolved, failureType, component }: FailureFilter): Condition | undefined {
  return together([
    resolved === undefined ? undefined : equal('resolved', flag(resolved)),
    failureType === undefined ? undefined : equal('failureType', text(failureType)),
    component === undefined ? undefined : equal('component', text(component)),
  ]);
}

function together(conditions: readonly (Condition | undefined)[]): Condition | undefined {
  const given = conditions.filter((condition) => condition !== undefined);
  return given.length === 0 ? undefined : all(...given);
}
