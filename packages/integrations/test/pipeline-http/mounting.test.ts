import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { createRequestListener } from '@remix-run/node-fetch-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';

import { completionHandler } from '../../src/pipeline-http/index.ts';
import { serve } from '../loopback.ts';
import { answering } from './answering.ts';
import { changeId, token } from './change.ts';

type Complete = ReturnType<typeof completionHandler>;
type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** As the documentation says that it is mounted. */
const hosts: Readonly<Record<string, (complete: Complete) => Promise<Listener>>> = {
  Hono: async (complete) => {
    const app = new Hono();
    app.post('/vivarium/complete', (context) => complete(context.req.raw));
    return getRequestListener(app.fetch);
  },

  Fastify: async (complete) => {
    const app = fastify();
    const listener = createRequestListener(complete);
    await app.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _body, done) => done(null));
      scope.post('/vivarium/complete', (request, reply) => {
        void reply.hijack();
        listener(request.raw, reply.raw);
      });
    });
    app.post('/elsewhere', async (request) => request.body);
    await app.ready();
    return (request, response) => app.routing(request, response);
  },

  Express: async (complete) => {
    const app = express();
    app.post('/vivarium/complete', createRequestListener(complete));
    app.use(express.json());
    return app;
  },

  'plain node:http': async (complete) => {
    const listener = createRequestListener(complete);
    const server = createServer((request, response) => {
      if (request.url === '/vivarium/complete') return listener(request, response);
      response.writeHead(404).end();
    });
    return (request, response) => server.emit('request', request, response);
  },
};

describe.each(Object.keys(hosts))('mounted in %s', (name) => {
  const mounted = async (...[failure]: Parameters<typeof answering>) => {
    const { vivarium, asked } = answering(failure);
    const url = await serve(await hosts[name]!(completionHandler({ vivarium })));
    const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
      fetch(`${url}/vivarium/complete`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
        body,
      });
    return { asked, post };
  };
  const said = JSON.stringify({ stateChangeId: changeId, org: 'acme', result: 'failed', reason: 'grün war es nicht' });

  test('a pipeline completes its change', async () => {
    const { asked, post } = await mounted();
    expect((await post(said)).status).toBe(204);
    expect(asked).toEqual([
      { org: 'acme', stateChangeId: changeId, token, result: 'failed', reason: 'grün war es nicht' },
    ]);
  });

  test('it hears what is wrong', async () => {
    const { post } = await mounted({ code: 'change_superseded', message: 'the change has ended already: failed' });
    const response = await post(said);
    expect(response.status).toBe(409);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({
      code: 'change_superseded',
      detail: 'the change has ended already: failed',
    });
  });

  test('what is no completion is refused by the handler, not by what lies in front of it', async () => {
    const { asked, post } = await mounted();
    expect((await post('{"half":')).status).toBe(400);
    expect((await post(said, { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post(' '.repeat(70_000))).status).toBe(413);
    expect((await post(said, { authorization: 'Basic x' })).status).toBe(401);
    expect(asked).toEqual([]);
  });
});
