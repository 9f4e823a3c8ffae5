import type { ByteString } from '../lib/format/bytes.js';
import type { DirectorySpec } from '../lib/publish/write-repository.js';
import type { DriverName } from './machine.js';
import { chooseHandlePath, chooseOperation, type Ground } from './random-choose.js';
import type { Operation, Result } from './random-client.js';
import { makeRandom, type Random } from './random-model.js';
import { digest, expected, statOf, unknown, walk, type Carried } from './random-oracle.js';
import { startPlayer, type Player } from './random-player.js';

/** Players make random operations on one mount; what comes of each is held against the oracle. */
export interface Game {
  /** Each player makes so many operations on a tree that stands still. @throws Difference */
  still(ground: Ground, count: number): Promise<void>;
  /** The same while the tree goes over from one to another: what is seen is of either. */
  moving(from: Ground, to: Ground, count: number): Promise<void>;
  /** The tree has moved: what was opened before is of an older one. */
  moved(): void;
  /** All of the tree, as one player sees it. @throws Difference */
  whole(ground: Ground): Promise<void>;
  readonly operations: number;
  close(): Promise<void>;
}

export class Difference extends Error {}

interface Handle {
  readonly number: number;
  readonly kind: 'open' | 'openDirectory';
  readonly path: ByteString;
  /** The tree in which it was opened. */
  readonly root: DirectorySpec;
  /** How often the tree has moved since. */
  age: number;
  listed: boolean;
}

interface Seat {
  readonly number: number;
  readonly player: Player;
  readonly random: Random;
  handles: Handle[];
  nextHandle: number;
}

/** An operation and what may come of it; undefined: anything. */
interface Move {
  readonly operation: Operation;
  readonly allowed: readonly unknown[] | undefined;
}

interface State {
  readonly seed: number;
  readonly driver: DriverName;
  readonly passthrough: boolean;
  readonly carried: Carried;
  readonly seats: readonly Seat[];
  /** Inode numbers by path, since the tree moved last. */
  readonly inodes: Map<ByteString, string>;
  operations: number;
}

export interface GameOptions {
  readonly driver: DriverName;
  readonly mountpoint: string;
  readonly seed: number;
  readonly players: number;
  /** Files of a local disk may be given to readers as they are there. */
  readonly passthrough: boolean;
}

export function startGame({ driver, mountpoint, seed, players, passthrough }: GameOptions): Game {
  const seats = Array.from({ length: players }, (_, number): Seat => ({
    number,
    player: startPlayer(mountpoint),
    random: makeRandom(seed + 1000 * (number + 1)),
    handles: [],
    nextHandle: 1,
  }));
  const carried = { milliseconds: driver === 'fuse-native' };
  const state: State = {
    ...{ seed, driver, passthrough, carried, seats },
    inodes: new Map(),
    operations: 0,
  };
  return {
    still: (ground, count) =>
      everySeat(state, true, (seat) => stillMoves(state, seat, ground, count)),
    moving: (from, to, count) =>
      everySeat(state, false, (seat) => movingMoves(state, seat, from, to, count)),
    moved() {
      state.inodes.clear();
      for (const { handles } of seats) for (const handle of handles) handle.age += 1;
    },
    whole: (ground) => lookAtAll(state, ground),
    get operations() {
      return state.operations;
    },
    async close() {
      await Promise.all(seats.map(({ player }) => player.close()));
    },
  };
}

async function everySeat(
  state: State,
  still: boolean,
  choose: (seat: Seat) => Move[],
): Promise<void> {
  // All are chosen before any is made, so that the seed alone says which.
  const chosen = state.seats.map((seat) => ({ seat, moves: choose(seat) }));
  const base = state.operations;
  state.operations += chosen.reduce((sum, { moves }) => sum + moves.length, 0);
  await Promise.all(
    chosen.map(async ({ seat, moves }) => {
      const results = await seat.player.play(moves.map(({ operation }) => operation));
      for (const [index, move] of moves.entries()) {
        const result = results[index] ?? { value: 'no result' };
        check(state, `${base + index} of player ${seat.number}`, move, result);
        if (still) compareInodes(state, move, result);
      }
    }),
  );
}

function check(state: State, which: string, { operation, allowed }: Move, result: Result): void {
  if (allowed === undefined) return;
  const seen = JSON.stringify(result.value);
  if (allowed.some((value) => JSON.stringify(value) === seen)) return;
  throw new Difference(
    `seed ${state.seed}, ${state.driver}, operation ${which}: ${JSON.stringify(operation)}\n` +
      `expected ${shortened(allowed.map((value) => JSON.stringify(value)).join(' or '))}\n` +
      `seen     ${shortened(seen)}`,
  );
}

function shortened(text: string): string {
  return text.length > 3000 ? `${text.slice(0, 3000)}…` : text;
}

/** One path has one inode number, however it is asked for. */
function compareInodes(state: State, { operation }: Move, { inodes }: Result): void {
  for (const [path, ino] of Object.entries(inodes ?? {})) {
    const before = state.inodes.get(path) ?? ino;
    state.inodes.set(path, ino);
    if (before === ino) continue;
    throw new Difference(
      `seed ${state.seed}, ${state.driver}: ${JSON.stringify(operation)}\n` +
        `inode of ${JSON.stringify(path)} was ${before}, now ${ino}`,
    );
  }
}

async function lookAtAll(state: State, ground: Ground): Promise<void> {
  const [seat] = state.seats;
  const [result] = (await seat?.player.play([{ op: 'tree' }])) ?? [];
  const { value } = expected(ground.root, { op: 'tree' }, state.carried);
  const seen = new Set(Array.isArray(result?.value) ? result.value : [result?.value]);
  const wanted = new Set(value as string[]);
  const wrong = [...seen].filter((line) => !wanted.has(line as string));
  const lacking = [...wanted].filter((line) => !seen.has(line));
  state.operations += 1;
  if (wrong.length + lacking.length > 0) {
    throw new Difference(
      `seed ${state.seed}, ${state.driver}, the whole tree at operation ${state.operations}\n` +
        `expected ${shortened(JSON.stringify(lacking))}\nseen     ${shortened(JSON.stringify(wrong))}`,
    );
  }
  compareInodes(state, { operation: { op: 'tree' }, allowed: undefined }, result ?? { value: '' });
  differentFiles(state, ground, result?.inodes ?? {});
}

/** Names of one file have one inode number, others each their own. */
function differentFiles(
  state: State,
  ground: Ground,
  inodes: Readonly<Record<ByteString, string>>,
): void {
  const byInode = new Map<string, string>();
  for (const { path, entry } of ground.places) {
    const ino = inodes[path];
    if (ino === undefined) continue;
    const above = path.slice(0, path.lastIndexOf('/'));
    const file = entry.linkGroup === undefined ? path : `${above} ${entry.linkGroup}`;
    const other = byInode.get(ino) ?? file;
    byInode.set(ino, file);
    const name = `file ${file}`;
    const same = state.inodes.get(name) ?? ino;
    state.inodes.set(name, ino);
    if (other === file && same === ino) continue;
    throw new Difference(`seed ${state.seed}: ${path} has the inode ${ino}; see ${other}, ${same}`);
  }
}

const mostHandles = 8;
/** The kernel driver keeps this many old trees, and one more, for those who stand in them. */
const oldest = 6;

function stillMoves(state: State, seat: Seat, ground: Ground, count: number): Move[] {
  const moves: Move[] = [];
  for (const handle of seat.handles.filter(({ age }) => age >= oldest)) {
    moves.push(closing(state, seat, handle));
  }
  while (moves.length < count) {
    const kind = seat.random.below(100);
    const move =
      kind < 10
        ? opening(state, seat, ground)
        : kind < 30
          ? onHandle(state, seat, ground)
          : plain(state, seat, ground);
    if (move !== undefined) moves.push(move);
  }
  return moves;
}

function plain(state: State, seat: Seat, ground: Ground): Move | undefined {
  const operation = chooseOperation(seat.random, ground);
  if (operation.op === 'statfs') return { operation, allowed: ['sound'] };
  const { value } = expected(ground.root, operation, state.carried);
  if (value === unknown) return undefined;
  // A disk wants O_DIRECT by whole sectors.
  const disk = operation.op === 'direct' && state.passthrough ? ['EINVAL'] : [];
  return { operation, allowed: [value, ...disk] };
}

function opening(state: State, seat: Seat, ground: Ground): Move | undefined {
  if (seat.handles.length >= mostHandles) {
    return closing(state, seat, seat.random.pick(seat.handles));
  }
  const kind = seat.random.chance(0.5) ? 'open' : 'openDirectory';
  const path = chooseHandlePath(seat.random, ground, kind === 'openDirectory');
  const operation = { op: kind, path, handle: seat.nextHandle } as const;
  const { value } = expected(ground.root, operation, state.carried);
  if (value === unknown) return undefined;
  if (value === 'open') {
    const { root } = ground;
    seat.handles.push({ number: seat.nextHandle, kind, path, root, age: 0, listed: false });
    seat.nextHandle += 1;
  }
  return { operation, allowed: [value] };
}

function closing(state: State, seat: Seat, handle: Handle): Move {
  seat.handles = seat.handles.filter((other) => other !== handle);
  const operation = { op: 'close', handle: handle.number } as const;
  // Where something else has come to a path, the kernel gives up what libfuse calls the same file.
  const given = state.driver === 'fuse-native' && handle.age > 0 ? ['closed', 'EIO'] : ['closed'];
  return { operation, allowed: given };
}

/** What is open stays what it was. */
function onHandle(state: State, seat: Seat, ground: Ground): Move | undefined {
  const { random } = seat;
  if (seat.handles.length === 0) return undefined;
  const handle = random.pick(seat.handles);
  const { found } = walk(handle.root, handle.path, true);
  if (typeof found !== 'object') throw new Error(`no ${handle.path} where it was opened`);
  const { entry } = found;
  const { number } = handle;
  // By path, as libfuse asks, only the newest tree can be had.
  const byPath = state.driver === 'fuse-native' && handle.age > 0;
  if (entry.type === 'file') {
    if (random.chance(0.3)) {
      const operation = { op: 'statHandle', handle: number } as const;
      return { operation, allowed: byPath ? undefined : [statOf(found, state.carried)] };
    }
    const content = Buffer.from(entry.content);
    const position = random.below(content.length + 10);
    const length = random.pick([1, 500, 4096, 100_000]);
    const bytes = content.subarray(position, position + length);
    const operation = { op: 'readHandle', handle: number, position, length } as const;
    return { operation, allowed: byPath ? undefined : [digest(bytes)] };
  }
  if (entry.type !== 'directory') throw new Error(`${handle.path} can't have been opened`);
  if (random.chance(0.3)) {
    if (handle.listed) return undefined;
    handle.listed = true;
    const operation = { op: 'listHandle', handle: number, size: 4096 } as const;
    const { value } = expected(
      handle.root,
      { op: 'list', path: handle.path, size: 1 },
      state.carried,
    );
    return { operation, allowed: byPath ? undefined : [value] };
  }
  const names = [...Object.keys(entry.entries), 'absent'];
  const path = `/${random.pick(names)}${random.chance(0.3) ? `/${random.pick(ground.names)}` : ''}`;
  // The root is always that of the newest tree.
  const base = entry === handle.root ? ground.root : entry;
  const { value } = expected(base, { op: 'lstat', path }, state.carried);
  if (value === unknown) return undefined;
  const operation = { op: 'lstatAt', handle: number, below: path } as const;
  return { operation, allowed: byPath ? undefined : [value] };
}

/** One call, one path, no link: what is seen is of one tree or of the other. */
const single: ReadonlySet<Operation['op']> = new Set<Operation['op']>([
  ...(['lstat', 'stat', 'list', 'read', 'direct', 'map', 'whole', 'readlink'] as const),
]);

function movingMoves(state: State, seat: Seat, from: Ground, to: Ground, count: number): Move[] {
  const moves: Move[] = [];
  while (moves.length < count) {
    const operation = chooseOperation(seat.random, seat.random.chance(0.5) ? from : to);
    if (!single.has(operation.op)) continue;
    const before = expected(from.root, operation, state.carried);
    const after = expected(to.root, operation, state.carried);
    if (before.value === unknown || after.value === unknown) continue;
    // libfuse asks by path, and the kernel keeps sizes for a second: parts of both are seen.
    const free = before.crossed || after.crossed || state.driver === 'fuse-native';
    if (operation.op === 'map' && state.driver === 'fuse-native') continue;
    moves.push({ operation, allowed: free ? undefined : [before.value, after.value] });
  }
  return moves;
}
