// lambda.ts
import { webhooks } from './handlers.ts';

interface FunctionUrlEvent {
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly isBase64Encoded: boolean;
}

export async function handler({ headers, body, isBase64Encoded }: FunctionUrlEvent) {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
  const response = await webhooks(new Request('https://lambda/github', { method: 'POST', headers, body: bytes }));
  return { statusCode: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}
