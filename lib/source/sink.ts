/** Where the bytes of a large answer go, so that they need not be held in memory. */
export interface Sink {
  /** An answer begins: what came of one before is dropped. */
  begin(): void;
  /** Takes the bytes before it returns. @throws PinfsError, which ends the request. */
  write(chunk: Buffer): void;
}
