/**
 * The ways in which a secret shows up in logs and responses: as it is, line by line, and in the encodings that programs put texts into.
 */

/** What is shorter than this, in bytes of UTF-8, is not looked for: it would be found everywhere. */
export const SHORTEST_FORM = 4;

const encoder = new TextEncoder();

export function encodedForms(secret: string): string[] {
  const bytes = encoder.encode(secret);
  const forms = [
    secret,
    ...lines(secret),
    ...base64(bytes),
    ...percentEncoded(secret),
    ...json(secret),
    ...hexadecimal(bytes),
  ];
  return [...new Set(forms)].filter((form) => encoder.encode(form).length >= SHORTEST_FORM);
}

/** Each line by itself, without the spaces around it: a key in a YAML file is indented. */
function lines(secret: string): string[] {
  const split = secret.split(/[\r\n]+/);
  return split.length === 1 ? [] : split.map((line) => line.trim());
}

/**
 * A secret inside a larger text that was encoded begins at one of three places in a group of four characters. Each way, the characters that
 * it shares with its neighbours are left out; at the end of the text there are none, and the padding belongs to it.
 */
function base64(bytes: Uint8Array): string[] {
  const standard = [0, 1, 2].flatMap((before) => {
    const padded = btoa(binary(new Uint8Array(before)) + binary(bytes));
    const start = Math.ceil((before * 8) / 6);
    const inner = padded.slice(start, Math.floor(((before + bytes.length) * 8) / 6));
    return [inner, padded.slice(start), padded.slice(start).replace(/=+$/, '')];
  });
  return [...standard, ...standard.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))];
}

function binary(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function percentEncoded(secret: string): string[] {
  const component = encodeURIComponent(secret);
  const strict = component.replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  const form = new URLSearchParams([['', secret]]).toString().slice(1);
  const upper = [encodeURI(secret), component, strict, form];
  return [...upper, ...upper.map((text) => text.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()))];
}

function json(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1);
  const ascii = escaped.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const upper = ascii.replace(/\\u[0-9a-f]{4}/g, (escape) => `\\u${escape.slice(2).toUpperCase()}`);
  const plain = [escaped, ascii, upper];
  return [...plain, ...plain.map((text) => text.replaceAll('/', '\\/'))];
}

function hexadecimal(bytes: Uint8Array): string[] {
  const lower = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [lower, lower.toUpperCase()];
}
