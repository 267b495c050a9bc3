// handlers.ts
import { githubWebhooks } from '@vivarium/integrations/github';
import { reportHandler } from '@vivarium/integrations/runtime-http';

import { vivarium } from './vivarium.ts';

export const webhooks = githubWebhooks({
  vivarium,
  secret: process.env['GITHUB_WEBHOOK_SECRET']!,
  orgsOf: (installationId) => (installationId === Number(process.env['GITHUB_INSTALLATION_ID']) ? ['acme'] : []),
});
export const reports = reportHandler({ vivarium });
