// express.ts
import { createRequestListener } from '@remix-run/node-fetch-server';
import express from 'express';

import { reports, webhooks } from './handlers.ts';

export const app = express();
app.post('/github', createRequestListener(webhooks));
app.post('/reports', createRequestListener(reports));
app.use(express.json()); // behind the two: their signatures are over the bytes as they came
