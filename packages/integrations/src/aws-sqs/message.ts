/** A message of `previews`, as core defines it. */
export interface PreviewMessage {
  readonly version: 1;
  readonly orgId: string;
  readonly projectEnvironmentId: string;
  readonly sequence: number;
}

/** Names each field, so that nothing travels that was added to a message for other purposes. */
export function bodyOf({ version, orgId, projectEnvironmentId, sequence }: PreviewMessage): string {
  return JSON.stringify({ version, orgId, projectEnvironmentId, sequence });
}

/** `null` for what is no message of a version that is known here. Core checks it again, in its own words. */
export function messageOf(body: string | undefined): PreviewMessage | null {
  try {
    const { version, orgId, projectEnvironmentId, sequence } = JSON.parse(body ?? '') as Record<string, unknown>;
    const isMessage =
      version === 1 &&
      typeof orgId === 'string' &&
      typeof projectEnvironmentId === 'string' &&
      Number.isSafeInteger(sequence);
    return isMessage ? { version, orgId, projectEnvironmentId, sequence: sequence as number } : null;
  } catch {
    return null;
  }
}
