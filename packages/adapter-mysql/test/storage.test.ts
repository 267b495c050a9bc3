/** Construction, migrations, and what is said when the database does not do its work. */
import { isVivariumError, StorageFailure } from '@vivarium/core/storage';
import type { KeyWrite, Storage } from '@vivarium/core/storage';
import { startCountingProxy } from '@vivarium/engines';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { createPool } from 'mysql2/promise';
import type { PoolOptions } from 'mysql2/promise';
import { createPool as createCallbackPool } from 'mysql2';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { mysqlStorage } from '../src/index.ts';
import type { MysqlOptions, MysqlStorage, MysqlStorageConnection } from '../src/index.ts';
import { database, emptyDatabase, everyEngine } from './databases.ts';
import type { Database, EmptyDatabase } from './databases.ts';
import { changeIn, newEnvironment, newKey, newProject, unwrap, writeProject } from './making.ts';

const org = 'storage';
const names = [
  '0001_projects',
  '0002_environments',
  '0003_org_trees',
  '0004_journal',
  '0005_journal_queue',
  '0006_journal_lanes',
  '0007_idempotency_keys',
  '0008_data_keys',
  '0009_ephemeral_environment_types',
  '0010_state_change_actions',
  '0011_ephemeral_environment_instances',
  '0012_instance_state_changes',
  '0013_ephemeral_secret_definitions',
  '0014_ephemeral_secret_instances',
  '0015_platforms',
  '0016_os_versions',
  '0017_image_types',
  '0018_milestone_plans',
  '0019_builds',
  '0020_build_states',
  '0021_build_failures',
  '0022_repos',
  '0023_apps',
  '0024_project_environments',
  '0025_deployments',
  '0026_project_environments_of_apps',
  '0027_previews',
  '0028_preview_runtimes',
  '0029_preview_commands',
  '0030_preview_steps',
  '0031_webhook_deliveries',
  '0032_app_secrets',
];

describe('mysqlStorage', () => {
  const pool = createCallbackPool({ uri: 'mysql://nobody@127.0.0.1:1/nothing' });
  afterAll(() => new Promise((resolve) => pool.end(resolve)));

  test.each<[string, string, unknown, unknown?]>([
    ['nothing', '', undefined],
    ['a connection that says nothing', '', {}],
    ['a URL by itself', '', 'mysql://user:hunter2@host/db'],
    ['a pool that is none', 'pool', { pool: { query: () => undefined } }],
    ['no pool at all', '', { pool: undefined }],
    ['a URL that is none', 'connectionString', { connectionString: 'nonsense' }],
    ['a URL of another database', 'connectionString', { connectionString: 'postgres://user:hunter2@host/db' }],
    ['a URL that is no text', 'connectionString', { connectionString: new URL('mysql://user:hunter2@host/db') }],
    ['a pool and a URL', '', { pool, connectionString: 'mysql://user:hunter2@host/db' }],
    ['another way to connect', 'uri', { uri: 'mysql://user:hunter2@host/db' }],
    ['batches over the pool of a host', 'multiStatements', { pool }, { multiStatements: true }],
    [
      'batches over a pool, and a URL that is not there',
      'multiStatements',
      { pool, connectionString: undefined },
      { multiStatements: true },
    ],
    ['batches that are no yes or no', 'multiStatements', { pool }, { multiStatements: 1 }],
    ['a prefix in upper case', 'tablePrefix', { pool }, { tablePrefix: 'Vivarium_' }],
    ['a prefix with a quote', 'tablePrefix', { pool }, { tablePrefix: '`; DROP' }],
    ['a prefix that leaves no room for names', 'tablePrefix', { pool }, { tablePrefix: 'x'.repeat(25) }],
    ['a prefix that is no text', 'tablePrefix', { pool }, { tablePrefix: 7 }],
    ['an option that there is not', 'prefix', { pool }, { prefix: 'vivarium_' }],
    ['no options', '', { pool }, null],
  ])('refuses %s, says where, and shows no password', (_what, path, connection, options) => {
    const error = thrownBy(() => mysqlStorage(connection as MysqlStorageConnection, options as MysqlOptions));
    expect(error).toMatchObject({ code: 'invalid_input', issues: [{ path }] });
    expect(everythingIn(error)).not.toContain('hunter2');
  });

  test('does not repeat a password when it refuses a URL', () => {
    const construct = () => mysqlStorage({ connectionString: 'mysql://user:hunter2@host:nonsense/db' });
    expect(construct).toThrow(/must be a URL/);
    expect(everythingIn(thrownBy(construct))).not.toContain('hunter2');
  });

  test('connects when it is first used, and says that it could not', async () => {
    const failure = (await mysqlStorage({ pool }).projects.get(org, randomUUID()))._unsafeUnwrapErr();
    expect(failure).toMatchObject({ code: 'storage_failure', retryable: true, outcome: 'none', transaction: null });
    expect(failure.message).toContain('cannot be reached');
  });

  test('a write that could not even be sent is known not to have happened', async () => {
    const written = await mysqlStorage({ pool }).journal.append(changeIn(org));
    expect(written._unsafeUnwrapErr()).toMatchObject({ retryable: true, outcome: 'none' });
  });
});

await describeOnEngines(everyEngine, (engine) => {
  const flavour = engine.name === 'mysql-9' ? 'mysql' : 'mariadb';

  describe(`[${engine.name}] migrations`, () => {
    let empty: EmptyDatabase;
    const storages: MysqlStorage[] = [];
    const storageOn = (options: MysqlOptions = {}) => {
      const storage = mysqlStorage({ connectionString: empty.url }, options);
      storages.push(storage);
      return storage;
    };
    beforeAll(async () => {
      empty = await emptyDatabase(engine);
    });
    afterAll(async () => {
      for (const storage of storages) await unwrap(storage.close());
      await empty.close();
    });

    test('a database without tables is not ready, and names what is pending', async () => {
      const status = await unwrap(storageOn({ tablePrefix: 'none_' }).status());
      expect(status).toEqual({ ready: false, applied: [], pending: names, unknown: [] });
    });

    test('whoever uses it before is told what to do', async () => {
      const failure = (await storageOn({ tablePrefix: 'none_' }).journal.append(changeIn(org)))._unsafeUnwrapErr();
      expect(failure).toMatchObject({ retryable: false, outcome: 'none' });
      expect(failure.message).toContain('storage.migrate()');
    });

    test('several at once apply each migration once', async () => {
      const reports = await Promise.all(
        Array.from({ length: 6 }, () => unwrap(storageOn({ tablePrefix: 'race_' }).migrate())),
      );
      expect(reports.flatMap(({ applied }) => applied).sort()).toEqual(names);
      expect(await unwrap(storageOn({ tablePrefix: 'race_' }).status())).toEqual({
        ready: true,
        applied: names,
        pending: [],
        unknown: [],
      });
    });

    test('one that died before it recorded what it did is repeated', async () => {
      const storage = storageOn({ tablePrefix: 'again_' });
      await unwrap(storage.migrate());
      const { project } = await writeProject(storage, org, ['A']);
      await empty.query(`DELETE FROM again_migrations WHERE name > '0003_org_trees'`);
      expect((await unwrap(storage.migrate())).applied).toEqual(names.slice(3));
      expect((await unwrap(storage.projects.get(org, project.id))).found).not.toBe(null);
    });

    test('two prefixes in one database are two storages', async () => {
      const [left, right] = [storageOn({ tablePrefix: 'left_' }), storageOn({ tablePrefix: '' })];
      await unwrap(left.migrate());
      await unwrap(right.migrate());
      const { project } = await writeProject(left, org, ['A']);
      expect((await unwrap(left.projects.get(org, project.id))).found).toMatchObject({ id: project.id });
      expect((await unwrap(right.projects.get(org, project.id))).found).toBe(null);
      // Constraints of either are recognised by their own names.
      const taken = { environment: newEnvironment(project.id, 'A'), maximum: 9, change: changeIn(org) };
      expect(await unwrap(left.environments.create(taken))).toMatchObject({ refused: 'name_taken' });
      const made = { ...newProject(['A']), treeVersion: null, change: changeIn(org) };
      expect(await unwrap(right.projects.create(made))).toEqual({ done: true });
      const again = { ...made, project: { ...made.project, id: randomUUID() }, change: changeIn(org) };
      expect(await unwrap(right.projects.create(again))).toMatchObject({ refused: 'name_taken' });
    });

    test('a newer version that is no break is worked with, one that is a break is refused', async () => {
      const storage = storageOn({ tablePrefix: 'newer_' });
      await unwrap(storage.migrate());
      const recorded = (name: string, breaking: number) =>
        empty.query(`INSERT INTO newer_migrations VALUES ('${name}', ${breaking}, UTC_TIMESTAMP())`);
      await recorded('9001_later', 0);
      expect(await unwrap(storage.status())).toMatchObject({ ready: true, unknown: ['9001_later'] });
      await unwrap(storage.migrate());
      await recorded('9002_break', 1);
      expect(await unwrap(storage.status())).toMatchObject({ ready: false, unknown: ['9001_later', '9002_break'] });
      expect((await storage.migrate())._unsafeUnwrapErr().message).toContain('9002_break');
    });

    test('what migrationSql gives can be run by hand, twice, and is what migrate does', async () => {
      const storage = storageOn({ tablePrefix: 'hand_' });
      const sql = storage.migrationSql({ flavour });
      for (let round = 0; round < 2; round++) {
        for (const statement of sql.split(';\n').filter((text) => text.trim() !== '')) await empty.query(statement);
      }
      expect(await unwrap(storage.status())).toMatchObject({ ready: true, applied: names });
      expect(await unwrap(storage.migrate())).toEqual({ applied: [] });
      await unwrap(storageOn({ tablePrefix: 'same_' }).migrate());
      const columns = (prefix: string) =>
        empty.query(
          `SELECT SUBSTR(TABLE_NAME, 5) AS tab, COLUMN_NAME, COLUMN_TYPE, COLLATION_NAME FROM information_schema.COLUMNS
          WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE ? ORDER BY 1, 2`,
          [`${prefix}\\_%`],
        );
      expect(await columns('hand')).toEqual(await columns('same'));
    });

    test('text is compared byte by byte, whatever the server has as its default', async () => {
      await unwrap(storageOn({ tablePrefix: 'text_' }).migrate());
      const collations = await empty.query(
        `SELECT DISTINCT COLLATION_NAME AS name FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'text\\_%' AND DATA_TYPE IN ('varchar', 'char') ORDER BY 1`,
      );
      expect(collations.map(({ name }) => name)).toEqual([
        'ascii_bin',
        flavour === 'mysql' ? 'utf8mb4_0900_bin' : 'utf8mb4_nopad_bin',
      ]);
    });
  });

  describe(`[${engine.name}] failures`, () => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine);
    });
    afterAll(() => db.close());

    test('a closed storage says so, and closing twice is no error', async () => {
      const storage = mysqlStorage({ connectionString: db.url });
      await unwrap(storage.projects.get(org, randomUUID()));
      await unwrap(storage.close());
      await unwrap(storage.close());
      const failure = (await storage.projects.get(org, randomUUID()))._unsafeUnwrapErr();
      expect(failure).toMatchObject({ message: 'the storage is closed', retryable: false, outcome: 'none' });
    });

    test('the pool of the host stays open', async () => {
      await unwrap(db.storage.close());
      expect((await unwrap(db.storage.projects.get(org, randomUUID()))).found).toBe(null);
    });

    test('pools with callbacks do as well', async () => {
      const pool = createCallbackPool({ uri: db.url, charset: 'utf8mb4' });
      const { project } = await writeProject(mysqlStorage({ pool }), org, ['A']);
      expect((await unwrap(db.storage.projects.get(org, project.id))).found).toMatchObject({ id: project.id });
      await new Promise((resolve) => pool.end(resolve));
    });

    test.each<[string, PoolOptions, string | null, RegExp]>([
      ['another character set', { charset: 'latin1' }, null, /latin1.*utf8mb4/],
      ['the short utf8', {}, `SET NAMES utf8mb3`, /utf8.*utf8mb4/],
      ['no autocommit', {}, 'SET autocommit = 0', /autocommit/],
      ['safe updates', {}, 'SET sql_safe_updates = 1', /sql_safe_updates/],
      ['dirty reads', {}, 'SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED', /READ COMMITTED/],
    ])('a pool with %s is refused, and told why', async (_what, options, setting, reason) => {
      const pool = createPool({ uri: db.url, charset: 'utf8mb4', ...options });
      if (setting !== null) pool.on('connection', (connection) => void connection.query(setting));
      for (const refused of [
        await mysqlStorage({ pool }).projects.get(org, randomUUID()),
        await mysqlStorage({ pool }).journal.append(changeIn(org)),
      ]) {
        expect(refused._unsafeUnwrapErr()).toMatchObject({
          code: 'storage_failure',
          retryable: false,
          outcome: 'none',
        });
        expect(refused._unsafeUnwrapErr().message).toMatch(reason);
      }
      await pool.end();
    });

    if (flavour === 'mariadb') {
      test.each(['ORACLE', 'EMPTY_STRING_IS_NULL'])('the sql_mode %s is refused', async (mode) => {
        const pool = createPool({ uri: db.url, charset: 'utf8mb4' });
        pool.on('connection', (connection) => void connection.query(`SET sql_mode = '${mode}'`));
        const refused = await mysqlStorage({ pool }).projects.get(org, randomUUID());
        expect(refused._unsafeUnwrapErr().message).toContain(`sql_mode ${mode}`);
        await pool.end();
      });
    }

    describe.each(['one statement', 'several statements', 'a batch'])('a write of %s', (kind) => {
      const options = { multiStatements: kind === 'a batch' };
      const write = (storage: Storage) =>
        kind === 'one statement'
          ? storage.journal.renew({ orgId: org, lane: 1, token: 't' }, new Date())
          : storage.journal.append(changeIn(org));

      test('whose answer got lost may have happened; what was lost before could not', async () => {
        const proxy = await startCountingProxy(db.url);
        const storage = mysqlStorage({ connectionString: proxy.url }, options);
        await write(storage);
        proxy.swallowNextAnswer();
        const failure = (await write(storage))._unsafeUnwrapErr();
        // On MySQL, what was swallowed is the answer to START TRANSACTION.
        const begun = kind === 'several statements' && flavour === 'mysql';
        expect(failure).toMatchObject({ retryable: true, outcome: begun ? 'none' : 'unknown', transaction: null });
        // The next one gets another connection.
        expect((await write(storage)).isOk()).toBe(true);
        await unwrap(storage.close());
        await proxy.stop();
      });
    });

    test('a commit whose answer got lost has happened; under the same key it is found', async () => {
      const proxy = await startCountingProxy(db.url);
      const pool = createPool({ uri: proxy.url, charset: 'utf8mb4', connectionLimit: 1 });
      let armed = false;
      pool.on('connection', (connection) => {
        watching(connection, ({ sql }) => {
          if (armed && sql.includes('COMMIT')) proxy.swallowNextAnswer();
        });
      });
      const storage = mysqlStorage({ pool });
      const { project } = await writeProject(storage, org, ['A']);
      const create = (name: string, key: KeyWrite) => {
        const environment = newEnvironment(project.id, name);
        return storage.environments.create({ environment, maximum: 9, change: changeIn(org, key) });
      };
      // So that every statement is prepared.
      await unwrap(create('B', newKey()));

      const key = newKey();
      armed = true;
      const failure = (await create('C', key))._unsafeUnwrapErr();
      armed = false;
      expect(failure).toMatchObject({ retryable: true, outcome: 'unknown', transaction: null });
      expect(await unwrap(create('C', key))).toMatchObject({ refused: 'key_taken', record: { result: key.result } });
      await pool.end();
      await proxy.stop();
    });

    test('a statement that the server has forgotten, or cannot keep, is sent as text', async () => {
      const pool = createPool({ uri: db.url, charset: 'utf8mb4', connectionLimit: 1 });
      const seen = new Set<string>();
      let forgotten = 0;
      pool.on('connection', (connection) => {
        watching(connection, ({ sql, values }) => {
          if (seen.size > 0 && values.length > 0) forgotten += Number(forget(connection, sql));
          seen.add(sql);
        });
      });
      const storage = mysqlStorage({ pool });
      const name = `it's \\ ? 😀`;
      for (let round = 0; round < 2; round++) {
        const { project, environments } = await writeProject(storage, org, [name, 'B']);
        const ref = environments[1]!;
        expect(await unwrap(storage.environments.makeDefault({ ref, change: changeIn(org) }))).toEqual({ done: true });
        const listed = await unwrap(storage.environments.list(org, project.id, { limit: 1, after: null }));
        expect(listed).toMatchObject({ items: [{ name: 'B', isDefault: true }], more: true });
        expect(await unwrap(storage.environments.getByName(org, project.id, name))).toMatchObject({ name });
      }
      expect(forgotten).toBeGreaterThan(0);
      await pool.end();
    });

    test('a key is searched for as it is: nothing in it stands for anything else', async () => {
      const { project } = await writeProject(db.storage, org, ['A']);
      const variables = [
        { key: 'API_URL', value: 'key' },
        { key: 'a-b', value: 'APIxURL' },
      ];
      const environment = { ...newEnvironment(project.id, 'B'), variables };
      await unwrap(db.storage.environments.create({ environment, maximum: 9, change: changeIn(org) }));
      const found = async (variableKey: string) => {
        const page = { limit: 9, after: null };
        return (await unwrap(db.storage.environments.search(org, project.id, { variableKey }, page)))!.items.length;
      };
      expect([await found('API_URL'), await found('a-b')]).toEqual([1, 1]);
      // Patterns, another case, parts, and what stands in a value.
      for (const other of ['API_UR_', 'a_b', 'API%', '%', 'api_url', 'API', 'key', 'APIxURL']) {
        expect([other, await found(other)]).toEqual([other, 0]);
      }
    });

    test('an error shows neither the statement nor a value', async () => {
      const secret = `secret-${randomUUID()}`;
      const { project } = await writeProject(db.storage, org, ['A']);
      const tooLong = { ...newEnvironment(project.id, 'B'), nameKey: secret.repeat(20) };
      const written = await db.storage.environments.create({ environment: tooLong, maximum: 9, change: changeIn(org) });
      const failure = written._unsafeUnwrapErr();
      expect(failure).toBeInstanceOf(StorageFailure);
      const shown = everythingIn(failure);
      expect(shown).toContain('1406');
      expect(shown).not.toContain(secret);
      expect(shown).not.toMatch(/INSERT|UPDATE|vivarium_environments/);
    });

    test('a database user needs no more rights than are said', async () => {
      const name = new URL(db.url).pathname.slice(1);
      const asUser = async (rights: string, tablePrefix: string) => {
        const url = new URL(db.url);
        [url.username, url.password] = [`u_${randomUUID().slice(0, 8)}`, randomUUID()];
        await db.query(`CREATE USER '${url.username}'@'%' IDENTIFIED BY '${url.password}'`);
        await db.query(`GRANT ${rights} ON ${name}.* TO '${url.username}'@'%'`);
        const drop = () => db.query(`DROP USER '${url.username}'@'%'`);
        return { storage: mysqlStorage({ connectionString: url.href }, { tablePrefix }), drop };
      };
      const migrating = await asUser('SELECT, INSERT, UPDATE, DELETE, CREATE, REFERENCES, ALTER', 'rights_');
      await unwrap(migrating.storage.migrate());
      const working = await asUser('SELECT, INSERT, UPDATE, DELETE', 'rights_');
      const { environments } = await writeProject(working.storage, org, ['A', 'B']);
      const ref = environments[1]!;
      expect(await unwrap(working.storage.environments.makeDefault({ ref, change: changeIn(org) }))).toEqual({
        done: true,
      });
      const prune = { orgId: org, before: new Date(), now: new Date(), undelivered: 'drop', limit: 9 } as const;
      await unwrap(working.storage.journal.prune(prune));
      expect(await unwrap(working.storage.status())).toMatchObject({ ready: true });

      const reading = await asUser('SELECT', 'rights_');
      const refused = (await reading.storage.journal.append(changeIn(org)))._unsafeUnwrapErr();
      expect(refused).toMatchObject({ retryable: false, outcome: 'none' });
      expect(refused.message).toContain('may not do this');
      for (const { storage, drop } of [migrating, working, reading]) {
        await unwrap(storage.close());
        await drop();
      }
    });

    test('a constraint that no guard stands for is a failure, and names it', async () => {
      const { project } = await writeProject(db.storage, org, ['A']);
      const same = { ...newProject(['A']), treeVersion: null, change: changeIn(org) };
      const twice = { ...same, project: { ...same.project, id: project.id } };
      const failure = (await db.storage.projects.create(twice))._unsafeUnwrapErr();
      expect(failure.message).toContain('vivarium_project');
    });
  });
});

interface Sent {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Calls back before anything is sent. */
function watching(connection: object, beforeSending: (sent: Sent) => void): void {
  const sending = connection as Record<'query' | 'execute', (options: Sent, done: unknown) => unknown>;
  for (const how of ['query', 'execute'] as const) {
    const send = sending[how];
    sending[how] = (options, done) => {
      beforeSending(options);
      return send.call(connection, options, done);
    };
  }
}

/** Has the server drop a prepared statement that mysql2 takes for prepared, as a proxy may that changes servers. */
function forget(connection: object, sql: string): boolean {
  let known = false;
  const preparing = connection as {
    prepare(options: object, done: (error: unknown, statement?: { close(): void }) => void): void;
  };
  preparing.prepare({ sql, nestTables: false, rowsAsArray: false }, (_error, statement) => {
    known = statement !== undefined;
    statement?.close();
  });
  return known;
}

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
}

/** An error as a careless log writes it: message, stack, fields, and the same of its causes. */
function everythingIn(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const fields = isVivariumError(thrown) ? thrown.toJSON() : { ...thrown };
  return `${thrown.message} ${thrown.stack} ${JSON.stringify(fields)} ${everythingIn(thrown.cause)}`;
}
