/** Works on the database of its first argument, in the schema of its second, until it is killed. Started by `crash.test.ts`. */
import process from 'node:process';
import { workUntilKilled } from '@vivarium/testing';
import type { CrashScene } from '@vivarium/testing';
import pg from 'pg';

import { postgresStorage } from '../src/index.ts';

const [connectionString, schema, scene] = process.argv.slice(2) as [string, string, string];
const pool = new pg.Pool({ connectionString, max: 8 });
await workUntilKilled(
  postgresStorage({ pool }, { schema }),
  JSON.parse(scene) as CrashScene,
  () => void process.stdout.write('busy\n'),
);
