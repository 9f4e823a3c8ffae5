import type { Driver } from '../../drivers/driver.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import type { DriverChoice } from '../options.js';

/** One way to reach the kernel. Loading it can fail: a native module or a library is missing. */
export interface DriverLoader {
  readonly name: Driver['name'];
  load(): Promise<Driver>;
}

/** The drivers of this platform, best first. */
export function driverLoaders(platform: NodeJS.Platform = process.platform): DriverLoader[] {
  const kernel: DriverLoader = {
    name: 'kernel',
    load: async () => (await import('../../drivers/kernel/main/driver.js')).kernelDriver,
  };
  const fuseNative: DriverLoader = {
    name: 'fuse-native',
    load: async () => (await import('../../drivers/fuse-native/driver.js')).fuseNativeDriver,
  };
  return platform === 'linux' ? [kernel, fuseNative] : [fuseNative];
}

/**
 * Mounts with the chosen driver. `auto` takes the first one that can mount here, and says in the
 * log why an earlier one could not; if none can, the first one's reason is the error.
 * @throws PinfsError MOUNT_*, USAGE for a driver that this platform has not.
 */
export async function mountWith<T>(
  choice: DriverChoice,
  loaders: readonly DriverLoader[],
  attempt: (driver: Driver) => Promise<T>,
  log: (message: string) => void,
): Promise<{ readonly driver: Driver; readonly mounted: T }> {
  const wanted = loaders.filter((loader) => choice === 'auto' || loader.name === choice);
  let first: PinfsError | undefined;
  for (const loader of wanted) {
    try {
      const driver = await loadDriver(loader);
      return { driver, mounted: await attempt(driver) };
    } catch (thrown) {
      const error = asPinfsError(thrown);
      // A mountpoint that one driver can't use is none for the other.
      const elsewhere = error.exit === 6 && error.code !== 'MOUNTPOINT_UNUSABLE';
      if (!elsewhere) throw error;
      log(`the ${loader.name} driver can't mount here: ${error.message}`);
      first ??= error;
    }
  }
  throw first ?? new PinfsError('USAGE', `there is no driver '${choice}' on ${process.platform}`);
}

/**
 * Lets the driver that is likely to mount begin with what takes time, while the repository is opened.
 * What goes wrong comes again, with its reason, when it is to mount.
 */
export async function prepareDriver(
  choice: DriverChoice,
  loaders: readonly DriverLoader[],
): Promise<void> {
  const likely = loaders.find((loader) => choice === 'auto' || loader.name === choice);
  try {
    const driver = await likely?.load();
    driver?.prepare?.();
  } catch {
    return;
  }
}

async function loadDriver(loader: DriverLoader): Promise<Driver> {
  try {
    return await loader.load();
  } catch (thrown) {
    if (thrown instanceof PinfsError) throw thrown;
    const { message, advice } = asPinfsError(thrown);
    throw new PinfsError(
      'MOUNT_NO_LIBRARY',
      `the ${loader.name} driver does not load: ${message}`,
      { advice: advice ?? "See 'pinfs doctor'.", cause: thrown },
    );
  }
}
