// vivarium.ts
import { postgresStorage } from '@vivarium/adapter-postgres';
import { createVivarium, localKeyring, unwrap } from '@vivarium/core';
import { githubSourceControl } from '@vivarium/integrations/github';
import { httpRuntime } from '@vivarium/integrations/runtime-http';

const { env } = process;
const storage = postgresStorage({ connectionString: env['DATABASE_URL']! });
await unwrap(storage.migrate());

export const vivarium = createVivarium({
  storage,
  keys: localKeyring({ env: 'VIVARIUM_KEYS' }),
  hooks: { onPreviewFailure: (failure) => console.warn('preview', failure) },
  previews: {
    sourceControl: githubSourceControl({
      appId: env['GITHUB_APP_ID']!,
      privateKey: env['GITHUB_PRIVATE_KEY']!,
      baseUrl: env['GITHUB_API_URL'],
    }),
    runtime: httpRuntime({
      url: env['RUNTIME_URL']!,
      secret: env['RUNTIME_SECRET']!,
      reportUrl: `${env['PUBLIC_URL']}/reports`,
    }),
  },
});
