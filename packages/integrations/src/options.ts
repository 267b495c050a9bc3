import { InvalidInput } from '@vivarium/core';

/** What is wrong with an option, in words that never repeat its value; null when it will do. */
export type Complaint = (value: unknown) => string | null;

/** An option that has to be given. */
export function must(fit: (value: unknown) => boolean, message: string): Complaint {
  return (value) => (fit(value) ? null : message);
}

/** An option that need not be given. */
export function may(fit: (value: unknown) => boolean, message: string): Complaint {
  return (value) => (value === undefined || fit(value) ? null : message);
}

/** An object, or a function, that has these methods. */
export function hasMethods(...names: readonly string[]): (value: unknown) => boolean {
  return (value) =>
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

export function wholeNumber(least: number, most: number): Complaint {
  return may(
    (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
    `must be a whole number from ${least} to ${most}`,
  );
}

/** A URL to which secrets are sent: encrypted, or to this machine itself, and without a password that would show in logs. */
export function privateUrl(url: unknown, allowPlainHttp = false): string | null {
  const target = typeof url === 'string' ? URL.parse(url) : null;
  const isHttp = target?.protocol === 'https:' || target?.protocol === 'http:';
  if (!isHttp || target.username !== '' || target.password !== '') return 'must be an https URL without userinfo';
  const isPrivate = target.protocol === 'https:' || isThisMachine(target.hostname) || allowPlainHttp;
  return isPrivate ? null : 'must be https, because secrets travel to it';
}

function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Throws `InvalidInput` that names every option that is missing, wrong or unknown. */
export function checkOptions(given: unknown, known: Readonly<Record<string, Complaint>>): void {
  const names = Object.keys(known).join(', ');
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidInput([{ path: '', message: `must be an object with ${names}` }]);
  }
  const values = given as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(values)
    .filter((name) => !Object.hasOwn(known, name))
    .map((path) => ({ path, message: `is not an option; the options are ${names}` }));
  const wrong = Object.entries(known).flatMap(([path, complaint]) => {
    const message = complaint(values[path]);
    return message === null ? [] : [{ path, message }];
  });
  const issues = [...unknown, ...wrong];
  if (issues.length > 0) throw new InvalidInput(issues);
}
