/** What we use of pako 3. With it all else is built and works where pako is not installed. */
declare module 'pako' {
  export class Deflate {
    /** @param options `legacyHash`: the bytes of stock zlib, not of the one in Chromium. */
    constructor(options: { readonly legacyHash: boolean });
    /** @returns whether all went well. */
    push(data: Uint8Array, isLast: boolean): boolean;
    onData(piece: Uint8Array): void;
    readonly err: number;
  }
}
