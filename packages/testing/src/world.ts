import { stateChangeTypes, unwrap } from '@vivarium/core';
import type {
  App,
  Build,
  BuildFailure,
  BuildWithManifest,
  Client,
  Deployment,
  Environment,
  EnvironmentType,
  ImageType,
  Instance,
  OsVersion,
  Platform,
  Preview,
  Project,
  ProjectEnvironment,
  QueueMessage,
  Repo,
  SecretBearer,
  SignedReport,
  StateChange,
} from '@vivarium/core';

import { failedHistory, packerManifest } from './every-build-call.ts';
import { everyCommand } from './every-call.ts';
import type { CommandMethod } from './every-call.ts';
import { commit } from './every-deployment-call.ts';
import { loopbackPreviews } from './loopback-previews.ts';
import { recordingRunner } from './pipelines.ts';

/** The runner of all worlds: it remembers tokens by the ids of changes, which no two tests share. */
export const worldRunner = recordingRunner();

/** The outside of the previews of all worlds: what it remembers belongs to previews and orgs that no two tests share. */
export const worldOutside = loopbackPreviews();

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
  /** What `running` and `failed` refer to. */
  readonly platform: Platform;
  readonly osVersion: OsVersion;
  readonly imageType: ImageType;
  /** Entries of the catalog that no build refers to, changed once. */
  readonly spare: { readonly platform: Platform; readonly osVersion: OsVersion; readonly imageType: ImageType };
  /** A build of `project` that has entered 5; its plan is the project's own, with the built-in milestones. */
  readonly running: Build;
  /** A build of `project` that has failed at 5 and has a manifest. */
  readonly failed: BuildWithManifest;
  /** That failure, which nobody has resolved. */
  readonly failure: BuildFailure;
  /** Registered twice. */
  readonly repo: Repo;
  /** Nothing but `spareApp` is of it. Registered twice. */
  readonly spareRepo: Repo;
  /** Of `project` and `repo`, changed once; that of `project` and `spareRepo`. */
  readonly app: App;
  readonly spareApp: App;
  /** Of `project` and `repo`; its branch is main. */
  readonly production: ProjectEnvironment;
  /** `pr-42`, where nothing has been deployed. */
  readonly preview: ProjectEnvironment;
  /** The deployments of `production`: one that was live, the one that is, and one that is running. */
  readonly deployed: Deployment;
  readonly live: Deployment;
  readonly deploying: Deployment;
  /** An app in a project of its own. It has the secrets `API_KEY` and `SPARE` for previews. */
  readonly previewed: { readonly repo: Repo; readonly app: App };
  /** Asked for twice; no worker has looked at it. */
  readonly asked: Preview;
  /** Of a fork, and asked for twice: it waits for somebody to approve the commit. */
  readonly waiting: Preview;
  /** Its runtime could not be removed. */
  readonly unstoppable: Preview;
  /** About `unstoppable`. */
  readonly message: QueueMessage;
  /** Of the runtime of `unstoppable`, whose run is over. */
  readonly lateReport: SignedReport;
}

/** Which parts of a world there are to be. */
interface Wanted {
  has(part: keyof World): boolean;
}
const everyPart: Wanted = { has: () => true };

/** Makes one of everything; leaves the two projects' journal entries parked. The client's pipelines have to be `worldRunner`, its previews those of `worldOutside` with forks that are approved. */
export async function makeWorld(client: Client<unknown>): Promise<World> {
  const projects = await makeProjects(client);
  const { id } = projects.project;
  return {
    ...projects,
    parkedEntryId: await parkEntries(client),
    ...(await makeEphemeralParts(client, everyPart)),
    ...(await makeBuildParts(client, id, everyPart)),
    ...(await makeDeploymentParts(client, id, everyPart)),
    ...(await makePreviewParts(client, everyPart)),
  } as World;
}

/** A world for all methods of one context, and of projects. */
export async function makeWorldOf(
  context: 'ephemeral' | 'builds' | 'deployments' | 'previews',
  client: Client<unknown>,
): Promise<World> {
  return makePartsOf(context, client, everyPart);
}

/** A world for one command, with nothing in it that the command does not ask for: hundreds of tests begin with one. */
export async function makeWorldFor(method: CommandMethod, client: Client<unknown>): Promise<World> {
  return makePartsOf(method.split('.')[0]!, client, askedFor(method));
}

async function makePartsOf(context: string, client: Client<unknown>, wanted: Wanted): Promise<World> {
  const projects = await makeProjects(client);
  const { id } = projects.project;
  switch (context) {
    case 'ephemeral':
      return { ...projects, ...(await makeEphemeralParts(client, wanted)) } as World;
    case 'builds':
      return { ...projects, ...(await makeBuildParts(client, id, wanted)) } as World;
    case 'deployments':
      return { ...projects, ...(await makeDeploymentParts(client, id, wanted)) } as World;
    case 'previews':
      return { ...projects, ...(await makePreviewParts(client, wanted)) } as World;
    default:
      return projects as World;
  }
}

/** What a command reads of a world, in whichever of its two calls: they are made here on nothing, to see. */
function askedFor(method: CommandMethod): Wanted {
  const asked = new Set<keyof World>();
  const anything: object = new Proxy(() => undefined, { get: () => anything, apply: () => anything });
  const world = new Proxy({} as World, {
    get: (_target, part) => {
      asked.add(part as keyof World);
      return anything;
    },
  });
  const { call, other } = everyCommand[method];
  for (const send of [call, other]) void send(anything as Client<unknown>, world, {});
  return asked;
}

async function parkEntries(client: Client<unknown>): Promise<string> {
  const refuse = () => {
    throw new Error('not today');
  };
  await unwrap(client.journal.deliver({ handler: refuse, maxAttempts: 1 }));
  const parked = await unwrap(client.journal.listParked());
  return parked.items[0]!.entry.id;
}

async function makeProjects(
  client: Client<unknown>,
): Promise<Pick<World, 'project' | 'child' | 'development' | 'staging'>> {
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
  return {
    project,
    child: await unwrap(client.projects.create({ name: 'Child', parentProjectId: project.id })),
    development: await unwrap(client.environments.getDefault(project.id)),
    staging: await unwrap(client.environments.getByName(project.id, 'Staging')),
  };
}

const actions = stateChangeTypes.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'pipeline.yml' }));

async function makeEphemeralParts({ ephemeral }: Client<unknown>, wanted: Wanted): Promise<Partial<World>> {
  const { types, instances, stateChanges, secrets } = ephemeral;
  const access = { writableBy: stateChangeTypes, readableBy: stateChangeTypes };
  const published = async (name: string) => {
    const definitions = ['PASSWORD', 'SPARE'].map((secret) => ({ name: secret, ...access }));
    const { id } = await unwrap(types.create({ name, actions, secrets: definitions }));
    return unwrap(types.publish(id));
  };
  const parts: Parts = {};
  const { id: typeId } = await published('Type');
  if (wanted.has('cordoned')) parts.cordoned = await unwrap(types.cordon((await published('Cordoned')).id));
  if (wanted.has('draft')) {
    const { id } = await unwrap(types.create({ name: 'Draft', actions }));
    parts.draft = await unwrap(types.update(id, { description: 'a draft' }));
  }

  const make = (name: string) => unwrap(instances.create({ typeId, name }));
  const end = ({ id }: StateChange, result: 'passed' | 'failed' = 'passed') =>
    unwrap(stateChanges.complete({ stateChangeId: id, token: worldRunner.tokenOf(id), result }));
  const now = ({ id }: Instance) => unwrap(instances.get(id));

  if (wanted.has('blank')) parts.blank = await unwrap(instances.touch((await make('Blank')).id));
  if (wanted.has('inUse') || wanted.has('passed')) {
    const inUse = await make('In use');
    await end(await unwrap(instances.provision(inUse.id)));
    parts.passed = await end(await unwrap(instances.deploy(inUse.id)));
    parts.inUse = await now(inUse);
  }
  if (wanted.has('asleep')) {
    const asleep = await make('Asleep');
    await end(await unwrap(instances.provision(asleep.id)));
    await end(await unwrap(instances.sleep(asleep.id)));
    parts.asleep = await now(asleep);
  }
  if (wanted.has('stuck')) {
    const stuck = await make('Stuck');
    await end(await unwrap(instances.deprovision(stuck.id)), 'failed');
    parts.stuck = await now(stuck);
  }
  if (wanted.has('ended')) {
    const ended = await make('Ended');
    await end(await unwrap(instances.deprovision(ended.id)));
    parts.ended = await now(ended);
  }
  if (wanted.has('pending') || wanted.has('bearer')) {
    const pending = await unwrap(instances.provision((await make('Changing')).id));
    const bearer = { stateChangeId: pending.id, token: worldRunner.tokenOf(pending.id) };
    await unwrap(secrets.write({ ...bearer, name: 'PASSWORD', value: 'pa55w0rd' }));
    Object.assign(parts, { pending, bearer });
  }
  return { ...parts, type: await unwrap(types.get(typeId)) };
}

async function makeBuildParts({ builds }: Client<unknown>, projectId: string, wanted: Wanted): Promise<Partial<World>> {
  const { platforms, osVersions, imageTypes } = builds.catalog;
  const platform = await unwrap(platforms.create({ name: 'aws', cloudProvider: 'aws', region: 'eu-central-1' }));
  const osVersion = await unwrap(osVersions.create({ name: 'rhel-8.8', osFamily: 'rhel', majorVersion: 8 }));
  const imageType = await unwrap(imageTypes.create({ name: 'base' }));
  const parts: Parts = { platform, osVersion, imageType };
  if (wanted.has('spare')) {
    const spares = {
      platform: await unwrap(platforms.create({ name: 'spare', cloudProvider: 'gcp' })),
      osVersion: await unwrap(osVersions.create({ name: 'spare', osFamily: 'sles', majorVersion: 15 })),
      imageType: await unwrap(imageTypes.create({ name: 'spare' })),
    };
    parts.spare = {
      platform: await unwrap(platforms.update(spares.platform.id, { region: 'europe-west1' })),
      osVersion: await unwrap(osVersions.update(spares.osVersion.id, { minorVersion: 5 })),
      imageType: await unwrap(imageTypes.update(spares.imageType.id, { description: 'nobody asked for it' })),
    };
  }
  // Whatever asks for a project may ask for the plan of its builds.
  if (wanted.has('project')) {
    const milestones = Array.from({ length: 21 }, (_, index) => index * 5);
    await unwrap(builds.milestonePlans.define({ projectId, milestones }));
  }

  const references = { projectId, platformId: platform.id, osVersionId: osVersion.id, imageTypeId: imageType.id };
  if (wanted.has('running')) {
    const started = await unwrap(builds.start({ buildNumber: 'running-1', ...references }));
    parts.running = await unwrap(builds.states.enter(started.id, { state: 5 }));
  }
  if (wanted.has('failed') || wanted.has('failure')) {
    const old = await unwrap(builds.import({ buildNumber: 'failed-1', ...references, ...failedHistory() }));
    parts.failed = await unwrap(builds.attachPackerManifest(old.id, packerManifest));
    const { items } = await unwrap(builds.listFailures({ buildId: old.id }));
    parts.failure = items[0]!;
  }
  return parts;
}

async function makeDeploymentParts(
  { deployments }: Client<unknown>,
  projectId: string,
  wanted: Wanted,
): Promise<Partial<World>> {
  const { repos, apps, environments } = deployments;
  const registerTwice = async (fullName: string) => {
    await unwrap(repos.register({ provider: 'github', fullName }));
    return unwrap(repos.register({ provider: 'github', fullName, defaultBranch: 'trunk' }));
  };
  const repo = await registerTwice('acme/shop');
  const spareRepo = await registerTwice('acme/spare');
  const parts: Parts = { repo, spareRepo };
  if (wanted.has('app') || wanted.has('spareApp')) {
    const made = await unwrap(apps.create({ projectId, repoId: repo.id, name: 'Shop' }));
    parts.app = await unwrap(apps.update(made.id, { entrypoint: 'apps/shop' }));
    parts.spareApp = await unwrap(apps.create({ projectId, repoId: spareRepo.id, name: 'Spare' }));
  }

  const of = { projectId, repoId: repo.id };
  if (wanted.has('preview')) {
    parts.preview = await unwrap(environments.ensure({ ...of, environment: 'pr-42', branch: 'feature' }));
  }
  if (!['production', 'deployed', 'live', 'deploying'].some((part) => wanted.has(part as keyof World))) return parts;
  const { id } = await unwrap(environments.ensure({ ...of, environment: 'production', branch: 'main' }));
  const start = (digit: string) =>
    unwrap(deployments.start({ projectEnvironmentId: id, gitRef: 'main', sha: commit(digit) }));
  const now = ({ id: deploymentId }: Deployment) => unwrap(deployments.get(deploymentId));
  const deployed = await start('a');
  const live = await start('b');
  for (const { id: deploymentId } of [deployed, live]) {
    await unwrap(deployments.report(deploymentId, { status: 'running' }));
    await unwrap(deployments.report(deploymentId, { status: 'success', url: 'https://shop.example.com' }));
  }
  const { id: deployingId } = await start('c');
  parts.deploying = await unwrap(deployments.report(deployingId, { status: 'running' }));
  parts.production = await unwrap(environments.get(id));
  return { ...parts, deployed: await now(deployed), live: await now(live) };
}

async function makePreviewParts(client: Client<unknown>, wanted: Wanted): Promise<Partial<World>> {
  const { previews, deployments, projects } = client;
  const project = await unwrap(projects.create({ name: 'Previewed' }));
  const repo = await unwrap(deployments.repos.register({ provider: 'github', fullName: 'acme/previewed' }));
  const app = await unwrap(deployments.apps.create({ projectId: project.id, repoId: repo.id, name: 'Previewed' }));
  for (const name of ['API_KEY', 'SPARE']) {
    await unwrap(previews.secrets.set({ appId: app.id, environmentType: 'preview', name, value: 's3cr3t' }));
  }
  const parts: Parts = { previewed: { repo, app } };
  const ask = (environment: string, digit: string, headRepo = repo.fullName) =>
    unwrap(previews.create({ appId: app.id, environment, branch: environment, headRepo, sha: commit(digit) }));

  if (wanted.has('asked')) {
    await ask('asked', 'a');
    parts.asked = await ask('asked', 'b');
  }
  if (wanted.has('waiting')) {
    await ask('waiting', 'a', 'eve/previewed');
    parts.waiting = await ask('waiting', 'b', 'eve/previewed');
  }
  if (!['unstoppable', 'message', 'lateReport'].some((part) => wanted.has(part as keyof World))) return parts;
  const { id } = await ask('unstoppable', 'a');
  const message = worldOutside.messages.findLast(({ projectEnvironmentId }) => projectEnvironmentId === id)!;
  await unwrap(previews.handle(message));
  await unwrap(previews.stop(id));
  worldOutside.before('remove', () => {
    throw Object.assign(new Error('it will not go'), { refused: true });
  });
  await unwrap(previews.handle(message));
  const lateReport = worldOutside.report(`${id}-1`, { status: 'running' });
  return { ...parts, unstoppable: await unwrap(previews.get(id)), message, lateReport };
}

/** Parts of a world while they are made. */
type Parts = { -readonly [Part in keyof World]?: World[Part] };
