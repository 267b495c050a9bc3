import { PGlite } from '@electric-sql/pglite';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { engineNames, engines, ownUrl, startEngine } from '../src/index.ts';
import type { EngineName, RunningEngine } from '../src/index.ts';

/** Says what a server answers to the simplest question that tells which server it is. */
type Ping = (url: string) => Promise<string>;

const pingPglite: Ping = async (url) => {
  const database = await PGlite.create(url);
  const { rows } = await database.query<{ version: string }>('SELECT version()');
  await database.close();
  return rows[0]!.version;
};

const pingPostgres: Ping = async (url) => {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ version: string }>('SELECT version()');
  await client.end();
  return rows[0]!.version;
};

const pingMysql: Ping = async (url) => {
  const connection = await createConnection(url);
  const [rows] = await connection.query('SELECT version() AS version');
  await connection.end();
  return (rows as { version: string }[])[0]!.version;
};

const pingDynamodb: Ping = async (url) => {
  const response = await fetch(url, {
    method: 'POST',
    body: '{}',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'DynamoDB_20120810.ListTables',
      'x-amz-date': '20260101T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=any',
    },
  });
  return response.text();
};

const pingAws: Ping = async (url) => {
  const response = await fetch(url, {
    method: 'POST',
    body: '{}',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'TrentService.ListKeys',
      'x-amz-date': '20260101T000000Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=any',
    },
  });
  return response.text();
};

const answers: Readonly<Record<EngineName, { ping: Ping; says: RegExp }>> = {
  pglite: { ping: pingPglite, says: /^PostgreSQL \d+/ },
  'postgres-18': { ping: pingPostgres, says: /^PostgreSQL 18\./ },
  'postgres-15': { ping: pingPostgres, says: /^PostgreSQL 15\./ },
  'mysql-9': { ping: pingMysql, says: /^9\./ },
  mariadb: { ping: pingMysql, says: /^10\.11\..*MariaDB/ },
  'mariadb-snapshot': { ping: pingMysql, says: /^10\.11\..*MariaDB/ },
  dynamodb: { ping: pingDynamodb, says: /"TableNames":\[/ },
  aws: { ping: pingAws, says: /"Keys":\s*\[/ },
};

await describeOnEngines(engineNames, (shared) => {
  const { name } = shared;
  const { ping, says } = answers[name];

  describe(`[${name}] engine`, () => {
    test('is the one its name says', async () => {
      expect(await ping(shared.url)).toMatch(says);
    });

    if (engines[name].variable === undefined || ownUrl(name) !== undefined) return;

    test('is another server at each start, and gone after stop', async () => {
      const engine = (await startEngine(name)) as RunningEngine;
      expect(await ping(engine.url)).toMatch(says);
      expect(engine.url).not.toBe(shared.url);
      await engine.stop();
      await expect(ping(engine.url)).rejects.toThrow();
      expect(await ping(shared.url)).toMatch(says);
    });
  });
});

/** A server of somebody's own is set as they like it. */
const startedHere = (...names: readonly EngineName[]): EngineName[] =>
  names.filter((name) => ownUrl(name) === undefined);

await describeOnEngines(startedHere('postgres-18', 'postgres-15'), ({ name, url }) => {
  test(`[${name}] engine sorts text as people do and takes many clients`, async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    const sorted = await client.query(`SELECT name FROM (VALUES ('b'), ('B'), ('a')) AS names(name) ORDER BY name`);
    const connections = await client.query(`SHOW max_connections`);
    await client.end();
    expect(sorted.rows).toEqual([{ name: 'a' }, { name: 'b' }, { name: 'B' }]);
    expect(connections.rows).toEqual([{ max_connections: '300' }]);
  });
});

await describeOnEngines(startedHere('mysql-9', 'mariadb', 'mariadb-snapshot'), ({ name, url }) => {
  test(`[${name}] engine keeps its temporary tables to itself and takes many clients`, async () => {
    const connection = await createConnection(url);
    const [rows] = await connection.query('SELECT @@tmpdir AS folder, @@max_connections AS clients');
    await connection.end();
    expect(rows).toEqual([{ folder: expect.stringMatching(/vivarium-.+\/tmp$/), clients: 300 }]);
  });
});

await describeOnEngines(['mariadb', 'mariadb-snapshot'], ({ name, url }) => {
  test(`[${name}] engine has its snapshot isolation`, async () => {
    const connection = await createConnection(url);
    const [rows] = await connection.query('SELECT @@global.innodb_snapshot_isolation AS setting');
    await connection.end();
    expect(rows).toEqual([{ setting: name === 'mariadb' ? 0 : 1 }]);
  });
});
