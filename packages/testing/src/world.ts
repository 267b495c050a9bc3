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
  Method,
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

/** Makes one of everything; leaves the two projects' journal entries parked. The client's pipelines have to be `worldRunner`, its previews those of `worldOutside` with forks that are approved. */
export async function makeWorld(client: Client<unknown>): Promise<World> {
  const plain = await makePlainWorld(client);
  return {
    ...plain,
    ...(await makeEphemeralWorld(client)),
    ...(await makeBuildWorld(client, plain.project.id)),
    ...(await makeDeploymentWorld(client, plain.project.id)),
    ...(await makePreviewWorld(client)),
  };
}

/** A world for one method, with nothing in it that only the methods of other contexts ask for: hundreds of tests begin with one. */
export async function makeWorldFor(method: Method, client: Client<unknown>): Promise<World> {
  const plain = await makePlainWorld(client);
  const [context] = method.split('.');
  switch (context) {
    case 'ephemeral':
      return { ...plain, ...(await makeEphemeralWorld(client)) } as World;
    case 'builds':
      return { ...plain, ...(await makeBuildWorld(client, plain.project.id)) } as World;
    case 'deployments':
      return { ...plain, ...(await makeDeploymentWorld(client, plain.project.id)) } as World;
    case 'previews':
      return { ...plain, ...(await makePreviewWorld(client)) } as World;
    default:
      return plain as World;
  }
}

async function makePlainWorld(client: Client<unknown>): Promise<PlainWorld> {
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
  };
}

type PlainWorld = Pick<World, 'project' | 'child' | 'development' | 'staging' | 'parkedEntryId'>;
type BuildWorld = Pick<World, 'platform' | 'osVersion' | 'imageType' | 'spare' | 'running' | 'failed' | 'failure'>;
type DeploymentWorld = Pick<
  World,
  'repo' | 'spareRepo' | 'app' | 'spareApp' | 'production' | 'preview' | 'deployed' | 'live' | 'deploying'
>;
type PreviewWorld = Pick<World, 'previewed' | 'asked' | 'waiting' | 'unstoppable' | 'message' | 'lateReport'>;
type EphemeralWorld = Omit<World, keyof PlainWorld | keyof BuildWorld | keyof DeploymentWorld | keyof PreviewWorld>;

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

async function makeBuildWorld({ builds }: Client<unknown>, projectId: string): Promise<BuildWorld> {
  const { platforms, osVersions, imageTypes } = builds.catalog;
  const platform = await unwrap(platforms.create({ name: 'aws', cloudProvider: 'aws', region: 'eu-central-1' }));
  const osVersion = await unwrap(osVersions.create({ name: 'rhel-8.8', osFamily: 'rhel', majorVersion: 8 }));
  const imageType = await unwrap(imageTypes.create({ name: 'base' }));
  const spares = {
    platform: await unwrap(platforms.create({ name: 'spare', cloudProvider: 'gcp' })),
    osVersion: await unwrap(osVersions.create({ name: 'spare', osFamily: 'sles', majorVersion: 15 })),
    imageType: await unwrap(imageTypes.create({ name: 'spare' })),
  };
  const spare = {
    platform: await unwrap(platforms.update(spares.platform.id, { region: 'europe-west1' })),
    osVersion: await unwrap(osVersions.update(spares.osVersion.id, { minorVersion: 5 })),
    imageType: await unwrap(imageTypes.update(spares.imageType.id, { description: 'nobody asked for it' })),
  };
  const milestones = Array.from({ length: 21 }, (_, index) => index * 5);
  await unwrap(builds.milestonePlans.define({ projectId, milestones }));

  const references = { projectId, platformId: platform.id, osVersionId: osVersion.id, imageTypeId: imageType.id };
  const started = await unwrap(builds.start({ buildNumber: 'running-1', ...references }));
  const running = await unwrap(builds.states.enter(started.id, { state: 5 }));
  const old = await unwrap(builds.import({ buildNumber: 'failed-1', ...references, ...failedHistory() }));
  const failed = await unwrap(builds.attachPackerManifest(old.id, packerManifest));
  const { items } = await unwrap(builds.listFailures({ buildId: failed.id }));
  return { platform, osVersion, imageType, spare, running, failed, failure: items[0]! };
}

async function makeDeploymentWorld({ deployments }: Client<unknown>, projectId: string): Promise<DeploymentWorld> {
  const { repos, apps, environments } = deployments;
  const registerTwice = async (fullName: string) => {
    await unwrap(repos.register({ provider: 'github', fullName }));
    return unwrap(repos.register({ provider: 'github', fullName, defaultBranch: 'trunk' }));
  };
  const repo = await registerTwice('acme/shop');
  const spareRepo = await registerTwice('acme/spare');
  const made = await unwrap(apps.create({ projectId, repoId: repo.id, name: 'Shop' }));
  const app = await unwrap(apps.update(made.id, { entrypoint: 'apps/shop' }));
  const spareApp = await unwrap(apps.create({ projectId, repoId: spareRepo.id, name: 'Spare' }));

  const of = { projectId, repoId: repo.id };
  const preview = await unwrap(environments.ensure({ ...of, environment: 'pr-42', branch: 'feature' }));
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
  const deploying = await unwrap(deployments.report(deployingId, { status: 'running' }));
  return {
    repo,
    spareRepo,
    app,
    spareApp,
    production: await unwrap(environments.get(id)),
    preview,
    deployed: await now(deployed),
    live: await now(live),
    deploying,
  };
}

async function makePreviewWorld(client: Client<unknown>): Promise<PreviewWorld> {
  const { previews, deployments } = client;
  const project = await unwrap(client.projects.create({ name: 'Previewed' }));
  const repo = await unwrap(deployments.repos.register({ provider: 'github', fullName: 'acme/previewed' }));
  const app = await unwrap(deployments.apps.create({ projectId: project.id, repoId: repo.id, name: 'Previewed' }));
  for (const name of ['API_KEY', 'SPARE']) {
    await unwrap(previews.secrets.set({ appId: app.id, environmentType: 'preview', name, value: 's3cr3t' }));
  }
  const ask = (environment: string, digit: string, headRepo = repo.fullName) =>
    unwrap(previews.create({ appId: app.id, environment, branch: environment, headRepo, sha: commit(digit) }));

  await ask('asked', 'a');
  const asked = await ask('asked', 'b');
  await ask('waiting', 'a', 'eve/previewed');
  const waiting = await ask('waiting', 'b', 'eve/previewed');

  const { id } = await ask('unstoppable', 'a');
  const message = worldOutside.messages.findLast(({ projectEnvironmentId }) => projectEnvironmentId === id)!;
  await unwrap(previews.handle(message));
  await unwrap(previews.stop(id));
  worldOutside.before('remove', () => {
    throw Object.assign(new Error('it will not go'), { refused: true });
  });
  await unwrap(previews.handle(message));
  return {
    previewed: { repo, app },
    asked,
    waiting,
    unstoppable: await unwrap(previews.get(id)),
    message,
    lateReport: worldOutside.report(`${id}-1`, { status: 'running' }),
  };
}
