/** Works on the database of its first argument until it is killed. Started by `crash.test.ts`. */
import process from 'node:process';
import { workUntilKilled } from '@vivarium/testing';
import type { CrashScene } from '@vivarium/testing';
import { createPool } from 'mysql2/promise';

import { mysqlStorage } from '../src/index.ts';

const [uri, scene] = process.argv.slice(2) as [string, string];
const pool = createPool({ uri, charset: 'utf8mb4', connectionLimit: 8 });
await workUntilKilled(
  mysqlStorage({ pool }),
  JSON.parse(scene) as CrashScene,
  () => void process.stdout.write('busy\n'),
);
