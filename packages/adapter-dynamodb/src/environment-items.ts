import { decodeVariables, encodeVariables, utf8Length } from '@vivarium/core/storage';
import type { LoadedEnvironment, StoredEnvironment, StoredSummary } from '@vivarium/core/storage';

import { integer, integerOf, optionalTextOf, present, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { environmentKey, environmentNameKey, partsOf, variablesKey } from './keys.ts';

/** The items that an environment is made of: itself, its texts, and its name's claim. */
export function environmentItems(
  orgId: string,
  environment: StoredEnvironment,
): { readonly head: Item; readonly texts: Item; readonly claim: Item } {
  const { projectId, id, name, nameKey, version, createdAt, updatedAt } = environment;
  const head = environmentKey(orgId, projectId, id);
  const claim = environmentNameKey(orgId, projectId, nameKey);
  const variables = encodeVariables(environment.variables);
  return {
    head: {
      pk: text(head.pk),
      sk: text(head.sk),
      name: text(name),
      nameKey: text(nameKey),
      version: integer(version),
      textVersion: integer(version),
      variableCount: integer(environment.variables.length),
      variableBytes: integer(utf8Length(variables)),
      createdAt: time(createdAt),
      updatedAt: time(updatedAt),
    },
    texts: textsItem(orgId, environment, variables),
    claim: { pk: text(claim.pk), sk: text(claim.sk), id: text(id) },
  };
}

/** Variables and description. `version` is the environment's at which they were last written; its own item says the same as `textVersion`. */
export function textsItem(
  orgId: string,
  { projectId, id, description, version }: StoredEnvironment,
  variables: string,
): Item {
  const { pk, sk } = variablesKey(orgId, projectId, id);
  return present({
    pk: text(pk),
    sk: text(sk),
    variables: text(variables),
    description: description === null ? null : text(description),
    version: integer(version),
  });
}

/** Whether two items that were not read at one instant are of the same state of their environment. */
export function belongTogether(head: Item | undefined, texts: Item | null): texts is Item {
  if (head === undefined || texts === null) return false;
  return integerOf(head, 'textVersion') === integerOf(texts, 'version');
}

export function readEnvironment(project: Item, head: Item, texts: Item): LoadedEnvironment {
  const { variableCount: _count, variableBytes: _bytes, ...summary } = readSummary(project, head);
  return {
    ...summary,
    description: optionalTextOf(texts, 'description'),
    variables: decodeVariables(textOf(texts, 'variables')),
  };
}

export function readSummary(project: Item, head: Item): StoredSummary {
  const id = idOf(head);
  return {
    id,
    projectId: partsOf(textOf(project, 'pk'))[2]!,
    name: textOf(head, 'name'),
    nameKey: textOf(head, 'nameKey'),
    isDefault: textOf(project, 'default') === id,
    variableCount: integerOf(head, 'variableCount'),
    variableBytes: integerOf(head, 'variableBytes'),
    version: integerOf(head, 'version'),
    createdAt: timeOf(head, 'createdAt'),
    updatedAt: timeOf(head, 'updatedAt'),
  };
}

/** The id of the environment that one of its items is of. */
export function idOf(item: Item): string {
  return partsOf(textOf(item, 'sk'))[2]!;
}
