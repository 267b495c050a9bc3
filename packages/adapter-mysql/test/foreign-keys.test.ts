/** What foreign keys promise, at every isolation level that a host's pool may have. */
import { createVivarium, unwrap } from '@vivarium/core';
import type { ResultAsync } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { database, everyEngine } from './databases.ts';
import type { Database } from './databases.ts';

const lists = {
  platforms: { table: 'platforms', reference: 'platformId' },
  osVersions: { table: 'os_versions', reference: 'osVersionId' },
  imageTypes: { table: 'image_types', reference: 'imageTypeId' },
} as const;
const parents = { ...lists, projects: { table: 'projects', reference: 'projectId' } } as const;
const pairs = (Object.keys(lists) as (keyof typeof lists)[]).flatMap((list) =>
  (Object.keys(parents) as (keyof typeof parents)[])
    .filter((other) => other !== list)
    .map((other) => [list, other] as const),
);

await describeOnEngines(everyEngine, (engine) => {
  describe.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])(`[${engine.name}] foreign keys, %s`, (level) => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine, { onConnection: [`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`] });
    });
    afterAll(() => db.close());

    // Why it has to be the primary key is said in `schema.ts`.
    test('each refers to a primary key', async () => {
      const keys = await db.query(
        `SELECT CONSTRAINT_NAME AS name, UNIQUE_CONSTRAINT_NAME AS refers_to FROM information_schema.REFERENTIAL_CONSTRAINTS
        WHERE CONSTRAINT_SCHEMA = DATABASE()`,
      );
      expect(keys.map(({ name }) => name as string)).toContain('vivarium_build_platform');
      expect(keys.filter((key) => key['refers_to'] !== 'PRIMARY')).toEqual([]);
    });

    // A build that was checked against one entry is kept waiting at another. In which order it meets them is the server's to say.
    test.each(pairs)(
      '%s: an entry is deleted, or a build refers to it while it waits at one of the %s, never both',
      async (list, other) => {
        const vivarium = createVivarium({ storage: db.storage });
        const { builds, projects } = vivarium.as({ org: randomUUID(), type: 'user', id: 'ada' });
        const { platforms, osVersions, imageTypes } = builds.catalog;
        const references = {
          projectId: (await unwrap(projects.create({ name: 'N' }))).id,
          platformId: (await unwrap(platforms.create({ name: 'N', cloudProvider: 'aws' }))).id,
          osVersionId: (await unwrap(osVersions.create({ name: 'N', osFamily: 'rhel', majorVersion: 9 }))).id,
          imageTypeId: (await unwrap(imageTypes.create({ name: 'N' }))).id,
        };
        const entry = references[lists[list].reference];

        // Locked in every index that it is in.
        const holder = await db.pool.getConnection();
        await holder.beginTransaction();
        const { table, reference } = parents[other];
        await holder.query(`DELETE FROM vivarium_${table} WHERE id = ?`, [references[reference]]);
        const starting = codeOf(builds.start({ buildNumber: '1', ...references }));
        await untilWaiting(1, starting);
        const deleting = codeOf(builds.catalog[list].delete(entry));
        await untilWaiting(2, deleting);
        await holder.rollback();
        holder.release();

        const answers = await Promise.all([starting, deleting]);
        expect([
          ['ok', 'in_use'],
          ['not_found', 'ok'],
        ]).toContainEqual(answers);
        expect(await codeOf(builds.catalog[list].get(entry))).toBe(answers[0] === 'ok' ? 'ok' : 'not_found');
        expect(await codeOf(builds.getByNumber('1'))).toBe(answers[0]);
      },
    );

    /** Until so many connections to this database wait for a row, or the work is done. */
    async function untilWaiting(connections: number, work: Promise<unknown>): Promise<void> {
      let done = false;
      void work.then(() => (done = true));
      const [{ name }] = (await db.query('SELECT DATABASE() AS name')) as [{ name: string }];
      while (!done) {
        // Whoever asks again within a tenth of a second is told the same again.
        await setTimeout(150);
        const waiting = await db.query(
          `SELECT trx_mysql_thread_id AS id FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'`,
        );
        const ids = new Set(waiting.map(({ id }) => Number(id)));
        const shown = await db.query('SHOW PROCESSLIST');
        if (shown.filter((one) => one['db'] === name && ids.has(Number(one['Id']))).length >= connections) return;
      }
    }
  });
});

async function codeOf(call: ResultAsync<unknown, { readonly code: string }>): Promise<string> {
  const answer = await call;
  return answer.isOk() ? 'ok' : answer.error.code;
}
