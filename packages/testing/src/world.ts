import { stateChangeTypes, unwrap } from '@vivarium/core';
import type {
  Client,
  Environment,
  EnvironmentType,
  Instance,
  Project,
  SecretBearer,
  StateChange,
} from '@vivarium/core';

import { recordingRunner } from './pipelines.ts';

/** The runner of all worlds: it remembers tokens by the ids of changes, which no two tests share. */
export const worldRunner = recordingRunner();

/** One of everything in an org, for tests that go through all methods. */
export interface World {
  readonly project: Project;
  /** Hangs under `project`. */
  readonly child: Project;
  /** The default of `project`. Its `TOKEN` is sensitive. */
  readonly development: Environment;
  readonly staging: Environment;
  readonly parkedEntryId: string;
  /** Published, with a pipeline for every change, and the secrets `PASSWORD` and `SPARE`. */
  readonly type: EnvironmentType;
  readonly draft: EnvironmentType;
  readonly cordoned: EnvironmentType;
  /** Nowhere yet. */
  readonly blank: Instance;
  readonly inUse: Instance;
  readonly asleep: Instance;
  /** Was not taken down: a person has to say that it is clean. */
  readonly stuck: Instance;
  readonly ended: Instance;
  /** A change that has passed. */
  readonly passed: StateChange;
  /** A change that is under way. */
  readonly pending: StateChange;
  /** What opens the secrets of `pending`; `PASSWORD` has a value. */
  readonly bearer: SecretBearer;
}

/** Makes one of everything; leaves the two projects' journal entries parked. The client's pipelines have to be `worldRunner`. */
export async function makeWorld(client: Client<unknown>): Promise<World> {
  const project = await unwrap(
    client.projects.create({
      name: 'World',
      description: 'a world',
      environments: [
        {
          name: 'Development',
          description: 'first',
          variables: [
            { key: 'HOST', value: 'localhost' },
            { key: 'TOKEN', value: 's3cr3t', sensitive: true },
          ],
        },
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
    ...(await makeEphemeralWorld(client)),
  };
}

type EphemeralWorld = Omit<World, 'project' | 'child' | 'development' | 'staging' | 'parkedEntryId'>;

async function makeEphemeralWorld({ ephemeral }: Client<unknown>): Promise<EphemeralWorld> {
  const { types, instances, stateChanges, secrets } = ephemeral;
  const actions = stateChangeTypes.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'pipeline.yml' }));
  const access = { writableBy: stateChangeTypes, readableBy: stateChangeTypes };
  const published = async (name: string) => {
    const definitions = ['PASSWORD', 'SPARE'].map((secret) => ({ name: secret, ...access }));
    const { id } = await unwrap(types.create({ name, actions, secrets: definitions }));
    return unwrap(types.publish(id));
  };
  const { id: typeId } = await published('Type');
  const { id: cordonedId } = await published('Cordoned');
  const cordoned = await unwrap(types.cordon(cordonedId));
  const { id: draftId } = await unwrap(types.create({ name: 'Draft', actions }));
  const draft = await unwrap(types.update(draftId, { description: 'a draft' }));

  const make = (name: string) => unwrap(instances.create({ typeId, name }));
  const end = ({ id }: StateChange, result: 'passed' | 'failed' = 'passed') =>
    unwrap(stateChanges.complete({ stateChangeId: id, token: worldRunner.tokenOf(id), result }));
  const now = ({ id }: Instance) => unwrap(instances.get(id));

  const blank = await unwrap(instances.touch((await make('Blank')).id));
  const inUse = await make('In use');
  await end(await unwrap(instances.provision(inUse.id)));
  const passed = await end(await unwrap(instances.deploy(inUse.id)));
  const asleep = await make('Asleep');
  await end(await unwrap(instances.provision(asleep.id)));
  await end(await unwrap(instances.sleep(asleep.id)));
  const stuck = await make('Stuck');
  await end(await unwrap(instances.deprovision(stuck.id)), 'failed');
  const ended = await make('Ended');
  await end(await unwrap(instances.deprovision(ended.id)));

  const pending = await unwrap(instances.provision((await make('Changing')).id));
  const bearer = { stateChangeId: pending.id, token: worldRunner.tokenOf(pending.id) };
  await unwrap(secrets.write({ ...bearer, name: 'PASSWORD', value: 'pa55w0rd' }));
  return {
    type: await unwrap(types.get(typeId)),
    draft,
    cordoned,
    blank,
    inUse: await now(inUse),
    asleep: await now(asleep),
    stuck: await now(stuck),
    ended: await now(ended),
    passed,
    pending,
    bearer,
  };
}
