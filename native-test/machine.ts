import { accessSync, constants } from 'node:fs';
import { doctorText } from '../lib/testing/doctor.js';
import { script } from './cli.js';

export type DriverName = 'fuse-native' | 'kernel';

interface Doctor {
  readonly canMount: boolean;
  readonly drivers: Readonly<Record<DriverName, boolean>>;
  readonly findings: readonly {
    readonly what: string;
    readonly state: string;
    readonly message: string;
    readonly mend?: string | null;
  }[];
}

/** Options of a tap test: `skip` with the reason where this machine can't run it. */
export interface Needs {
  readonly skip?: string;
}

const doctor = askDoctor();
export const isRoot = process.getuid?.() === 0;
export const uid = process.getuid?.() ?? 0;
export const groups = process.getgroups?.() ?? [];

/** `{ skip: reason }` where a driver can't mount here. */
export function needsDriver(driver: DriverName): Needs {
  if (doctor === undefined) return { skip: 'pinfs doctor does not work' };
  if (doctor.drivers[driver]) return {};
  const reasons = doctor.findings
    .filter(({ state, what }) => state === 'problem' && what !== 'mounting')
    .map(({ message }) => message);
  return { skip: `the driver ${driver} can't mount here: ${reasons.join('; ') || 'see doctor'}` };
}

/** Any driver will do. */
export const needsMount: Needs =
  doctor?.canMount === true ? {} : { skip: "nothing can be mounted here: see 'pinfs doctor'" };

export const needsRoot: Needs = isRoot ? {} : { skip: 'only root can do this' };

/** First reason wins. */
export function needsAll(...needs: readonly Needs[]): Needs {
  return needs.find(({ skip }) => skip !== undefined) ?? {};
}

export function needsProgram(name: string): Needs {
  const found = (process.env['PATH'] ?? '').split(':').some((directory) => {
    try {
      accessSync(`${directory}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  return found ? {} : { skip: `the program ${name} is not here` };
}

/** Whether root can act as another user here, for tests of permissions. */
export const needsNobody: Needs = needsAll(needsRoot, needsProgram('setpriv'));

/** The runner of all tests asks once, since the doctor mounts (tools/test.ts). */
function askDoctor(): Doctor | undefined {
  const stdout = process.env['PINFS_DOCTOR'] ?? doctorText(script);
  try {
    return JSON.parse(stdout) as Doctor;
  } catch {
    return undefined;
  }
}
