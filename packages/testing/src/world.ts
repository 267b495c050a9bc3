import { unwrap } from '@vivarium/core';
import type { Client, Environment, Project } from '@vivarium/core';

/** One of everything in an org, for tests that go through all methods. */
export interface World {
  readonly project: Project;
  /** Hangs under `project`. */
  readonly child: Project;
  /** The default of `project`. */
  readonly development: Environment;
  readonly staging: Environment;
  readonly parkedEntryId: string;
}

/** Makes one of everything; leaves the two projects' journal entries parked. */
export async function makeWorld(client: Client<unknown>): Promise<World> {
  const project = await unwrap(
    client.projects.create({
      name: 'World',
      description: 'a world',
      environments: [
        { name: 'Development', description: 'first', variables: [{ key: 'HOST', value: 'localhost' }] },
        { name: 'Staging', variables: [{ key: 'HOST', value: 'staging.example.com' }] },
      ],
    }),
  );
  const child = await unwrap(client.projects.create({ name: 'Child', parentProjectId: project.id }));
  const refuse = () => {
    throw new Error('not today');
  };
  await unwrap(client.journal.deliver({ handler: refuse, maxAttempts: 1 }));
  const parked = await unwrap(client.journal.listParked());
  return {
    project,
    child,
    development: await unwrap(client.environments.getDefault(project.id)),
    staging: await unwrap(client.environments.getByName(project.id, 'Staging')),
    parkedEntryId: parked.items[0]!.entry.id,
  };
}
