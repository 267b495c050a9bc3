import { PGlite } from '@electric-sql/pglite';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { postgresStorage } from '../src/index.ts';
import type { PostgresConnection, PostgresStorage } from '../src/index.ts';
import { everyEngine, servers } from './databases.ts';
import { given, unwrap } from './making.ts';

const names = [
  '0001_projects_environments_journal',
  '0002_data_keys_ephemeral_environments',
  '0003_builds',
  '0004_deployments',
  '0005_previews',
];

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] migrations`, () => {
    let connection: PostgresConnection;
    let query: (text: string) => Promise<Record<string, any>[]>;
    /** Several statements, as psql would send them. */
    let script: (text: string) => Promise<unknown>;
    let close: () => Promise<void>;

    beforeAll(() => {
      if (engine.name === 'pglite') {
        const pglite = new PGlite();
        connection = { pglite };
        query = async (text) => (await pglite.query<Record<string, any>>(text)).rows;
        script = (text) => pglite.exec(text);
        close = () => pglite.close();
      } else {
        const pool = new pg.Pool({ connectionString: engine.url });
        connection = { pool };
        query = async (text) => (await pool.query<Record<string, any>>(text)).rows;
        script = (text) => pool.query(text);
        close = () => pool.end();
      }
    });
    afterAll(() => close());

    /** A schema that is not there yet, with names that only quoting survives. */
    const fresh = () => {
      const schema = `Odd "${randomBytes(4).toString('hex')}' schema`;
      const quoted = `"${schema.replaceAll('"', '""')}"`;
      return { schema, quoted, storage: postgresStorage(connection, { schema }) };
    };

    /** Everything about the tables that a program could tell apart. */
    async function shapeOf(schema: string): Promise<unknown> {
      const literal = `'${schema.replaceAll("'", "''")}'`;
      const quoted = `"${schema.replaceAll('"', '""')}"`;
      const shape = [
        await query(`SELECT table_name, column_name, data_type, character_maximum_length, datetime_precision, is_nullable, collation_name, column_default
          FROM information_schema.columns WHERE table_schema = ${literal} ORDER BY table_name, column_name`),
        await query(`SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
          WHERE connamespace = to_regnamespace('${quoted.replaceAll("'", "''")}') ORDER BY conname`),
        await query(`SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = ${literal} ORDER BY indexname`),
        await query(`SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger
          WHERE NOT tgisinternal AND tgfoid IN (
            SELECT oid FROM pg_proc WHERE pronamespace = to_regnamespace('${quoted.replaceAll("'", "''")}')
          ) ORDER BY tgname`),
      ];
      return JSON.parse(JSON.stringify(shape).replaceAll(JSON.stringify(quoted).slice(1, -1), 'S'));
    }

    const standing = async (storage: PostgresStorage) => unwrap(storage.status());

    test('status says what is missing before, and that all is there after', async () => {
      const { storage } = fresh();
      expect(await standing(storage)).toEqual({ ready: false, applied: [], pending: names, unknown: [] });
      expect(await unwrap(storage.migrate())).toEqual({ applied: names });
      expect(await standing(storage)).toEqual({ ready: true, applied: names, pending: [], unknown: [] });
      expect(await unwrap(storage.migrate())).toEqual({ applied: [] });
      await given(storage, 'o');
    });

    test('of many that migrate at once one does it, and none fails', async () => {
      const { schema, storage } = fresh();
      const reports = await Promise.all(
        Array.from({ length: 8 }, () => unwrap(postgresStorage(connection, { schema }).migrate())),
      );
      expect(reports.filter(({ applied }) => applied.length === names.length)).toHaveLength(1);
      expect(reports.filter(({ applied }) => applied.length === 0)).toHaveLength(7);
      expect((await standing(storage)).ready).toBe(true);
    });

    test('migrationSql makes the same tables, remembers it, and can be run again', async () => {
      const [migrated, byHand] = [fresh(), fresh()];
      await unwrap(migrated.storage.migrate());
      await script(byHand.storage.migrationSql());
      expect(await shapeOf(byHand.schema)).toEqual(await shapeOf(migrated.schema));
      expect(JSON.stringify(await shapeOf(byHand.schema))).toContain('vivarium_project_default');
      expect(JSON.stringify(await shapeOf(byHand.schema))).toContain('vivarium_instance_ended');
      expect(JSON.stringify(await shapeOf(byHand.schema))).toContain('vivarium_build_state_figures');
      expect(JSON.stringify(await shapeOf(byHand.schema))).toContain('vivarium_project_environment_name');
      expect(JSON.stringify(await shapeOf(byHand.schema))).toContain('vivarium_preview_age');
      expect(await standing(byHand.storage)).toEqual(await standing(migrated.storage));

      await given(byHand.storage, 'o');
      await script(byHand.storage.migrationSql());
      await script(migrated.storage.migrationSql());
      expect((await unwrap(byHand.storage.projects.list('o', {}, { limit: 9, after: null }))).items).toHaveLength(1);
      expect(await unwrap(byHand.storage.migrate())).toEqual({ applied: [] });
    });

    test('a newer version is named, and refused only if it broke something', async () => {
      const { storage, quoted } = fresh();
      await unwrap(storage.migrate());
      await query(`INSERT INTO ${quoted}.vivarium_migrations (name, breaking) VALUES ('9998_more', false)`);
      expect(await standing(storage)).toEqual({ ready: true, applied: names, pending: [], unknown: ['9998_more'] });
      expect(await unwrap(storage.migrate())).toEqual({ applied: [] });

      await query(`INSERT INTO ${quoted}.vivarium_migrations (name, breaking) VALUES ('9999_other', true)`);
      expect(await standing(storage)).toMatchObject({ ready: false, unknown: ['9998_more', '9999_other'] });
      const refused = (await storage.migrate())._unsafeUnwrapErr();
      expect(refused).toMatchObject({ code: 'storage_failure', retryable: false, outcome: 'none' });
      expect(refused.message).toContain('9999_other');
    });

    test('a migration that fails leaves nothing behind', async () => {
      const { storage, quoted } = fresh();
      await query(`CREATE SCHEMA ${quoted}`);
      await query(`CREATE TABLE ${quoted}.journal (mine text)`);
      expect((await storage.migrate()).isErr()).toBe(true);
      const there = await query(
        `SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('${quoted.replaceAll("'", "''")}') AND relkind = 'r'`,
      );
      expect(there).toEqual([{ relname: 'journal' }]);

      await query(`DROP TABLE ${quoted}.journal`);
      expect(await unwrap(storage.migrate())).toEqual({ applied: names });
    });
  });
});

await describeOnEngines(servers, (engine) => {
  describe(`[${engine.name}] migrating as somebody`, () => {
    test('a user who may create nothing but tables in the schema can migrate', async () => {
      const name = `t_${randomBytes(6).toString('hex')}`;
      const admin = new pg.Pool({ connectionString: engine.url, max: 1 });
      await admin.query(
        `CREATE ROLE ${name} LOGIN PASSWORD 'p'; GRANT ${name} TO CURRENT_USER; CREATE SCHEMA ${name} AUTHORIZATION ${name}`,
      );
      const url = new URL(engine.url);
      url.username = name;
      url.password = 'p';
      const storage = postgresStorage({ connectionString: url.href }, { schema: name });
      expect(await unwrap(storage.migrate())).toEqual({ applied: names });
      await given(storage, 'o');

      const elsewhere = postgresStorage({ connectionString: url.href }, { schema: `${name}_not_mine` });
      expect((await elsewhere.migrate())._unsafeUnwrapErr().message).toContain('the database user may not do this');
      await unwrap(storage.close());
      await unwrap(elsewhere.close());
      await admin.query(`DROP SCHEMA ${name} CASCADE; DROP ROLE ${name}`);
      await admin.end();
    });

    test('a server that is too old is refused by its name', async () => {
      const name = `t_${randomBytes(6).toString('hex')}`;
      const admin = new pg.Pool({ connectionString: engine.url, max: 1 });
      // Found before the server's own, this makes the server say that it is an old one.
      await admin.query(
        `CREATE SCHEMA ${name}; CREATE FUNCTION ${name}.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT ''140012'''`,
      );
      const pool = new pg.Pool({ connectionString: engine.url, max: 1, options: `-c search_path=${name},pg_catalog` });
      const storage = postgresStorage({ pool }, { schema: `${name}_new` });
      for (const refused of [await storage.migrate(), await storage.status()]) {
        expect(refused._unsafeUnwrapErr().message).toBe('this is PostgreSQL 14, and it has to be 15 or newer');
      }
      await pool.end();
      await admin.query(`DROP SCHEMA ${name} CASCADE`);
      await admin.end();
    });
  });
});
