import { createHash } from 'node:crypto';
import { readFileSync, statfsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * File systems that several machines may have mounted, by the type that statfs(2) gives. The log of SQLite (WAL) is
 * shared memory, and so for one machine alone: on such a disk each has a cache of its own.
 */
const networkTypes: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xfe534d42: 'SMB',
  0xff534d42: 'SMB',
  0x5346414f: 'AFS',
  0x6b414653: 'AFS',
  0x73757245: 'Coda',
  0x0bd00bd0: 'Lustre',
  0x47504653: 'GPFS',
  0x00c36400: 'Ceph',
  0x19830326: 'BeeGFS',
  0xaad7aaea: 'PanFS',
  0x01161970: 'GFS2',
  0x7461636f: 'OCFS2',
  0x01021997: '9p',
  // sshfs, GlusterFS, EOS and many more.
  0x65735546: 'FUSE',
};

/** The name of a file system that may be shared by machines; undefined for one of this machine alone. */
export function networkDisk(path: string, typeOf = typeOfDisk): string | undefined {
  const type = typeOf(path);
  return type === undefined ? undefined : networkTypes[type >>> 0];
}

/** The type of the disk on which a path is, or will be. */
function typeOfDisk(path: string): number | undefined {
  for (let place = path; ; place = dirname(place)) {
    try {
      return statfsSync(place).type;
    } catch {
      if (place === dirname(place)) return undefined;
    }
  }
}

/** Where this machine has its cache: the directory itself, or one of its own below it where others may use that too. */
export function cacheOfHost(directory: string, typeOf = typeOfDisk, host = hostName()): string {
  return networkDisk(directory, typeOf) === undefined ? directory : join(directory, host);
}

/** A name for this machine that no other has: machines may be called alike, and containers share an ID. */
function hostName(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9-]/g, '-')
    .slice(0, 64);
  const digest = createHash('sha256').update(`${hostname()} ${machineId()}`).digest('hex');
  return `host-${name}-${digest.slice(0, 8)}`;
}

function machineId(): string {
  try {
    return readFileSync('/etc/machine-id', 'latin1');
  } catch {
    return '';
  }
}
