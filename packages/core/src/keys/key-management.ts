/**
 * What a data key is wrapped for. The key management has to refuse to unwrap it for anything else (AWS KMS calls this the encryption
 * context).
 */
export type WrappingContext = Readonly<Record<string, string>>;

/** A data key as the key management hands it out: in the clear for use, wrapped for storage. */
export interface GeneratedDataKey {
  /** 32 bytes. */
  readonly plaintext: Uint8Array;
  readonly wrapped: Uint8Array;
  /** Which of the key management's keys wrapped it. */
  readonly wrappedBy: string;
}

/** A wrapped data key, and what it was wrapped for. */
export interface WrappedDataKey {
  readonly wrapped: Uint8Array;
  readonly wrappedBy: string;
  readonly context: WrappingContext;
}

/**
 * The port to whatever keeps the keys that wrap data keys: `localKeyring` here, AWS KMS in `@vivarium/integrations/aws-kms`. What a method rejects
 * with becomes a `key_management_failure`; an own property `retryable: true` on it is taken over.
 */
export interface KeyManagement {
  /** Makes a new data key of 32 random bytes. */
  generateDataKey(request: { readonly context: WrappingContext }): Promise<GeneratedDataKey>;
  /** Gives the 32 bytes back; rejects for another context. */
  unwrapDataKey(wrapped: WrappedDataKey): Promise<Uint8Array>;
  /** Wraps it by the key that is used for new ones now, without showing it; `null` when that is what it is wrapped by. */
  rewrapDataKey(wrapped: WrappedDataKey): Promise<{ readonly wrapped: Uint8Array; readonly wrappedBy: string } | null>;
}
