/** What we use of fuse-native 2.2, which has no types of its own. */
declare module 'fuse-native' {
  type Signal = (result: number, ...values: unknown[]) => void;

  class Fuse {
    constructor(mountpoint: string, operations: object, options: object);
    mount(callback: (error: Error | null) => void): void;
    unmount(callback: (error: Error | null) => void): void;
    ops: unknown;
    _op_getxattr(
      signal: Signal,
      path: string,
      name: string,
      buffer: Buffer,
      position: number,
    ): void;
    _op_listxattr(signal: Signal, path: string, buffer: Buffer): void;
    static unmount(mountpoint: string, callback: (error: Error | null) => void): void;
  }
  export default Fuse;
}
