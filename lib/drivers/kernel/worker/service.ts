import type { Failure, Miss, Outcome } from '../../../store/want.js';
import type { ProtectedAttributes } from '../../../filesystem/magic.js';
import type { WorkerSpent } from '../../driver.js';
import type { IoErrors } from '../../io-errors.js';
import { errno } from '../../../format/errno.js';
import type { WaitLimits } from '../../../source/wait.js';
import type { NodeId } from '../../../tree/entry.js';
import { foreverSeconds } from '../protocol/constants.js';
import type { Backings } from './backings.js';
import type { Connection, Wishes } from '../protocol/negotiation.js';
import type { Frame, Lifetime, Output } from '../protocol/protocol.js';
import type { ServedSnapshot, Snapshots } from './snapshots.js';

/** How a mount is served, and how long a request waits for a fetch; plain data. */
export interface Settings extends WaitLimits {
  /** `pinned`, or the lifetime of names in seconds. */
  readonly lifetime: 'pinned' | number;
  /** The kernel is to keep nothing: each read comes here. */
  readonly keepsNothing?: boolean;
  /** Plain bytes of what is fetched ahead that may wait to be read. */
  readonly aheadBytesMax: number;
  readonly noXattrs: boolean;
  readonly protectedXattrs?: ProtectedAttributes | undefined;
  /** Let the kernel stop asking for OPEN (only for pins, and without passthrough). */
  readonly noOpen: boolean;
  /** Let the kernel stop asking for OPENDIR (only for pins: the root of a head changes). */
  readonly noOpendir: boolean;
  readonly wishes: Wishes;
}

/** What handlers work with. */
export interface Service {
  readonly settings: Settings;
  readonly lifetimes: Lifetimes;
  readonly snapshots: Snapshots;
  readonly output: Output;
  connection: Connection | undefined;
  /** Only where the kernel agreed to passthrough. */
  backings: Backings | undefined;
  /** The directory that was last listed to its end, and the cookie of its last entry. */
  listed: {
    readonly snapshot: ServedSnapshot | undefined;
    readonly directory: NodeId;
    readonly cookie: number;
  };
  /** The last page of a listing was given: the kernel asks at once whether there is more. */
  isDue: boolean;
  opens: number;
  directoryOpens: number;
  /** Where the time of this thread went. */
  readonly spent: WorkerSpent;
  ioErrors: IoErrors;
  /** INIT came: what was agreed, or why nothing can be. */
  readonly connected: (connection: Connection | string) => void;
  /** The kernel no longer wants the request with this unique. */
  readonly interrupt: (unique: number) => void;
}

/** One request while it is handled. */
export interface Call {
  readonly service: Service;
  readonly output: Output;
  frame: Frame;
  snapshot: ServedSnapshot;
  node: NodeId;
  isRoot: boolean;
}

export interface Lifetimes {
  readonly names: Lifetime;
  readonly values: Lifetime;
  /** The root's node id outlives a change of the snapshot, so its attributes do not keep for ever. */
  readonly rootValues: Lifetime;
}

export const never: Lifetime = { seconds: 0, nanoseconds: 0 };
const forEver: Lifetime = { seconds: foreverSeconds, nanoseconds: 0 };

/** Names keep as long as the settings say. What is behind a node id never changes: but for the root it keeps for ever. */
function lifetimesOf(lifetime: Settings['lifetime'], keepsNothing = false): Lifetimes {
  if (keepsNothing) return { names: never, values: never, rootValues: never };
  if (lifetime === 'pinned') return { names: forEver, values: forEver, rootValues: forEver };
  const seconds = Math.min(Math.max(0, Math.floor(lifetime)), foreverSeconds);
  const part = Math.min(Math.max(0, lifetime - seconds), 0.999_999_999);
  const short = { seconds, nanoseconds: Math.floor(part * 1e9) };
  return { names: short, values: forEver, rootValues: short };
}

/** The service of a connection that begins. */
export function openService(
  given: Pick<Service, 'settings' | 'snapshots' | 'connected'> & {
    readonly backings?: Backings | undefined;
  },
  output: Output,
  interrupt: Service['interrupt'],
): Service {
  const { settings, snapshots, backings, connected } = given;
  return {
    settings,
    lifetimes: lifetimesOf(settings.lifetime, settings.keepsNothing),
    snapshots,
    output,
    connection: undefined,
    backings,
    listed: { snapshot: undefined, directory: 0, cookie: 0 },
    isDue: false,
    opens: 0,
    ioErrors: { errors: 0, lastError: 0 },
    directoryOpens: 0,
    spent: { catalog: 0, shelf: 0, reply: 0 },
    connected,
    interrupt,
  };
}

/** Bytes of the reply's body, `silent` (no reply at all), or why there is none. */
export type KernelAnswer = number | typeof silent | Miss | Failure;

export const silent = 'silent';

/** One opcode: how its request is read, what is done, how the reply is written. */
export interface Operation {
  readonly number: number;
  readonly name: string;
  /** Does not look at the request's node id. */
  readonly nodeless: boolean;
  readonly run: (call: Call) => KernelAnswer;
}

export function refusal(number: number): Failure {
  return { kind: 'failure', errno: number };
}

const malformed = refusal(errno.EINVAL);

export function define<Arguments, Value>(
  number: number,
  name: string,
  decode: (frame: Frame) => Arguments | undefined,
  handle: (call: Call, request: Arguments) => Outcome<Value>,
  encode: (call: Call, value: Value) => number,
): Operation {
  return {
    number,
    name,
    nodeless: false,
    run(call) {
      const request = decode(call.frame);
      if (request === undefined) return malformed;
      const outcome = handle(call, request);
      return outcome.kind === 'done' ? encode(call, outcome.value) : outcome;
    },
  };
}

/** An opcode that is always answered with the same errno. */
export function defineRefused(number: number, name: string, answer: number): Operation {
  const refused = refusal(answer);
  return { number, name, nodeless: true, run: () => refused };
}

/** An opcode about the connection, not about a node; `run` writes the whole body, or is silent. */
export function defineNodeless(
  number: number,
  name: string,
  run: (call: Call) => KernelAnswer,
): Operation {
  return { number, name, nodeless: true, run };
}
