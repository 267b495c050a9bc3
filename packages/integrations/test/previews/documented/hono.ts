// hono.ts
import { Hono } from 'hono';

import { reports, webhooks } from './handlers.ts';

export const app = new Hono();
app.post('/github', (context) => webhooks(context.req.raw));
app.post('/reports', (context) => reports(context.req.raw));
