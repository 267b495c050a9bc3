// set-up.ts
import { unwrap } from '@vivarium/core';

import { vivarium } from './vivarium.ts';

export async function setUp(databaseUrl: string) {
  const { projects, deployments, previews } = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });
  const project = await unwrap(projects.create({ name: 'Shop' }));
  const repo = await unwrap(deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
  const app = await unwrap(deployments.apps.create({ projectId: project.id, repoId: repo.id, name: 'web' }));
  const secret = { appId: app.id, environmentType: 'preview', name: 'DATABASE_URL' } as const;
  await unwrap(previews.secrets.set({ ...secret, value: databaseUrl }));
  return app;
}
