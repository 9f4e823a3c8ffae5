/** How an object is stored (docs/format.md, 2.4). */
export type Compression = 'zlib' | 'none';
