/**
 * What is wrong with a URL to which secrets are sent: it has to be encrypted, or this machine itself, and without a password that would show in logs. `allowPlainHttp` is left out where
 * that is no option.
 */
export function privateUrl(url: unknown, allowPlainHttp?: boolean): string | null {
  const target = typeof url === 'string' ? URL.parse(url) : null;
  const isHttp = target?.protocol === 'https:' || target?.protocol === 'http:';
  if (!isHttp || target.username !== '' || target.password !== '') return 'must be an https URL without userinfo';
  const isPrivate = target.protocol === 'https:' || isThisMachine(target.hostname) || allowPlainHttp === true;
  if (isPrivate) return null;
  return `must be https, because secrets travel to it${allowPlainHttp === undefined ? '' : '; or set allowPlainHttp'}`;
}

function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
