import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { readGiven } from '../../files/given.js';

import { PinfsError } from '../../format/errors.js';
import { fileFault } from '../../format/file-fault.js';
import {
  mapsCvmfs,
  marked,
  readMarked,
  setupFiles,
  withProgram,
  type Program,
  type SetupFile,
  type WrittenBy,
} from './files.js';

/** `pinfs setup`: what it would do is known, and told, before anything is done. */

export interface SetupParts {
  /** The `share` of the package. */
  readonly share: string;
  /** In front of each path, as for a package that is being made; '' for this machine. */
  readonly root: string;
  /** Undefined: `pinfs`, wherever the PATH has it. */
  readonly program: Program | undefined;
}

export interface SetupStep {
  readonly path: string;
  readonly purpose: string;
  /** `keep`: it is not ours to touch. `skip`: it is not needed, or somebody else does the same. */
  readonly action: 'write' | 'replace' | 'remove' | 'none' | 'keep' | 'skip';
  readonly reason?: string;
}

/** A step, and what it does. */
export interface Planned {
  readonly step: SetupStep;
  readonly act: () => void;
}

const fileBytesMax = 64 * 1024;

const nothing = (): void => undefined;

/** What setting up would do. */
export function planSetup(parts: SetupParts): readonly Planned[] {
  return setupFiles.map((file) => planWrite(file, parts));
}

/** What taking it back would do. */
export function planUndo(parts: SetupParts): readonly Planned[] {
  return setupFiles.map((file) => planRemove(file, parts.root)).reverse();
}

/**
 * Does what was planned.
 * @throws PinfsError SETUP_REFUSED: a file is not ours, and nothing is done; or one can't be written
 */
export function carryOut(planned: readonly Planned[], undo = 'pinfs setup --undo'): void {
  const kept = planned.map(({ step }) => step).filter(({ action }) => action === 'keep');
  if (kept.length > 0)
    throw new PinfsError(
      'SETUP_REFUSED',
      kept.map(({ path, reason }) => `${path}: ${reason ?? ''}`).join('; '),
      { advice: 'Put it away, or take what share/ of the package has by hand. Nothing was done.' },
    );
  for (const { step, act } of planned) {
    try {
      act();
    } catch (thrown) {
      const { why } = fileFault(thrown, 'write');
      throw new PinfsError('SETUP_REFUSED', `can't ${step.action} ${step.path}: ${why}`, {
        advice: `What was done before it is taken back by '${undo}'.`,
        cause: thrown,
      });
    }
  }
}

function planWrite(file: SetupFile, { share, root, program }: SetupParts): Planned {
  const { path, from } = file;
  const plain = readFileSync(join(share, from), 'utf8');
  const text = program === undefined ? plain : withProgram(plain, program);
  const other = from.endsWith('.autofs') ? otherMap(root, path) : undefined;
  const reason = other && `autofs has another map for /cvmfs, in ${other}`;
  return planText({ ...file, text }, root, reason);
}

/** What is written where, and by whom. */
export interface WrittenText extends Pick<SetupFile, 'path' | 'purpose' | 'mode'> {
  readonly text: string;
  readonly by?: WrittenBy;
}

/** What writing a file of ours would do. @param needless why it is not needed where it is not there */
export function planText(
  { path, purpose, mode, text, by }: WrittenText,
  root: string,
  needless?: string,
): Planned {
  const place = root + path;
  const there = lookAt(place);
  const step = (action: SetupStep['action'], reason?: string): SetupStep => ({
    ...{ path, purpose, action },
    ...(reason === undefined ? {} : { reason }),
  });
  if (there.kind === 'foreign' || there.kind === 'changed')
    return { step: step('keep', reasons[there.kind]), act: nothing };
  if (needless !== undefined && there.kind === 'absent')
    return { step: step('skip', needless), act: nothing };
  if (there.kind === 'ours' && there.text === text) return { step: step('none'), act: nothing };
  const before = there.kind === 'ours' ? there.made : [];
  const act = (): void => {
    const made = [...before, ...makeAbove(place).map((made) => made.slice(root.length))];
    const temporary = `${place}.${process.pid}`;
    writeFileSync(temporary, marked(text, made, by), { mode, flag: 'wx' });
    chmodSync(temporary, mode);
    renameSync(temporary, place);
  };
  return { step: step(there.kind === 'ours' ? 'replace' : 'write'), act };
}

/** What taking a file of ours back would do. */
export function planRemove(
  { path, purpose }: Pick<SetupFile, 'path' | 'purpose'>,
  root: string,
): Planned {
  const place = root + path;
  const there = lookAt(place);
  const step = (action: SetupStep['action']): SetupStep => ({ path, purpose, action });
  if (there.kind === 'changed')
    return { step: { ...step('keep'), reason: reasons.changed }, act: nothing };
  if (there.kind !== 'ours') return { step: step('none'), act: nothing };
  const act = (): void => {
    rmSync(place);
    for (const directory of [...there.made].reverse()) {
      try {
        rmdirSync(root + directory);
      } catch {
        return; // somebody else has something in it by now
      }
    }
  };
  return { step: step('remove'), act };
}

const reasons = {
  foreign: 'it is there, and not of pinfs setup',
  changed: 'somebody has changed it since pinfs setup wrote it',
} as const;

function lookAt(place: string): ReturnType<typeof readMarked> | { readonly kind: 'absent' } {
  const status = lstatSync(place, { throwIfNoEntry: false });
  if (status === undefined) return { kind: 'absent' };
  if (!status.isFile()) return { kind: 'foreign' };
  return readMarked(readGiven(place, fileBytesMax).toString('utf8'));
}

/** Makes the directories above a file, readable for all as those of a system are. @returns those that were lacking */
function makeAbove(place: string): string[] {
  const lacking: string[] = [];
  let directory = dirname(place);
  while (statSync(directory, { throwIfNoEntry: false }) === undefined) {
    lacking.unshift(directory);
    directory = dirname(directory);
  }
  for (const path of lacking) {
    mkdirSync(path);
    chmodSync(path, 0o755);
  }
  return lacking;
}

/** The file with a line of somebody else for /cvmfs, as the reference's package brings it. */
function otherMap(root: string, own: string): string | undefined {
  const directory = dirname(own);
  const maps = [
    '/etc/auto.master',
    ...namesIn(root + directory).map((name) => `${directory}/${name}`),
  ];
  return maps.find((path) => path !== own && linesOf(root + path).some(mapsCvmfs));
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('.autofs'));
  } catch {
    return [];
  }
}

function linesOf(path: string): readonly string[] {
  try {
    return readGiven(path, fileBytesMax).toString('utf8').split('\n');
  } catch {
    return [];
  }
}
