/** A TCP relay on loopback that stands for a long way, or a slow line: it holds each direction back, and counts round trips. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Relay {
  readonly port: number;
  /** Connections made so far. */
  readonly connections: number;
  /** Bytes that were handed to clients so far. */
  readonly bytes: number;
  /**
   * The longest chain of waits so far: a connection that is made is one, each request that was sent after
   * an answer came is one more. What was asked for at the same time counts once.
   */
  readonly roundTrips: number;
  /** Begins to count anew; what is under way counts as asked for now. */
  reset(): void;
  /** Ends all connections at once. */
  close(): Promise<void>;
}

interface Counters {
  connections: number;
  bytes: number;
  roundTrips: number;
  /** Raised by `reset`, so that an answer from before it has no depth. */
  generation: number;
}

// A way of 10 ms that holds so much carries 6.4 GB/s: no limit beside what loopback does.
const bytesHeldMax = 64 * 2 ** 20;

export interface RelayOptions {
  /** Where it leads; loopback where nobody says. */
  readonly host?: string;
  /** Bytes a second that come back over all connections together; none: as fast as it goes. */
  readonly bytesPerSecond?: number;
  /** Where it listens: a free port of loopback where nobody says. */
  readonly listen?: { readonly host: string; readonly port: number };
}

/**
 * Hands on to `targetPort` and back, each piece `oneWayMs` later than it came, whatever its
 * size. A connection takes a round trip to be made, as it does on a long way: what the client sends first
 * leaves no earlier.
 */
export async function startRelay(
  targetPort: number,
  oneWayMs: number,
  { host = '127.0.0.1', bytesPerSecond = Infinity, listen }: RelayOptions = {},
): Promise<Relay> {
  const line = { freeAt: 0, bytesPerMs: bytesPerSecond / 1000 };
  const counters: Counters = { connections: 0, bytes: 0, roundTrips: 0, generation: 0 };
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const target = connect({
      port: targetPort,
      host,
      noDelay: true,
      allowHalfOpen: true,
    });
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    join(client, target, oneWayMs, counters, line);
  });
  server.listen({ ...(listen ?? { port: 0, host: '127.0.0.1' }), backlog: 512 });
  await once(server, 'listening');
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    get connections() {
      return counters.connections;
    },
    get bytes() {
      return counters.bytes;
    },
    get roundTrips() {
      return counters.roundTrips;
    },
    reset() {
      counters.connections = counters.bytes = counters.roundTrips = 0;
      counters.generation++;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** What all answers share. */
interface Line {
  /** When all that was taken is through (ms). */
  freeAt: number;
  readonly bytesPerMs: number;
}

function join(
  client: Socket,
  target: Socket,
  oneWayMs: number,
  counters: Counters,
  line: Line,
): void {
  counters.connections++;
  const drop = (): void => {
    client.destroy();
    target.destroy();
  };
  client.on('error', drop);
  target.on('error', drop);
  // Waits of this connection: its making, then the deepest request it carries.
  let depth = counters.roundTrips + 1;
  let { generation } = counters;
  delayed(client, target, oneWayMs, {
    notBefore: performance.now() + 2 * oneWayMs,
    through: () => 0,
    came() {
      if (generation !== counters.generation) depth = 0;
      generation = counters.generation;
      depth = Math.max(depth, counters.roundTrips) + 1;
    },
    left: () => undefined,
  });
  delayed(target, client, oneWayMs, {
    notBefore: 0,
    through: (bytes) => {
      line.freeAt = Math.max(line.freeAt, performance.now()) + bytes / line.bytesPerMs;
      return line.freeAt;
    },
    came: () => undefined,
    left(bytes) {
      counters.bytes += bytes;
      if (generation === counters.generation) {
        counters.roundTrips = Math.max(counters.roundTrips, depth);
      }
    },
  });
}

interface Way {
  /** Nothing is sent on before (ms) plus the way itself. */
  readonly notBefore: number;
  /** When so many bytes more are through the line (ms). */
  through(bytes: number): number;
  came(): void;
  left(bytes: number): void;
}

/** Carries what `from` sends to `to`, and its end too, each after the time of the way. */
function delayed(from: Socket, to: Socket, oneWayMs: number, way: Way): void {
  const held: { readonly piece: Buffer | null; readonly due: number }[] = [];
  let bytesHeld = 0;
  let timer: NodeJS.Timeout | undefined;
  const send = (): void => {
    timer = undefined;
    // Node's timers are whole milliseconds: what is due within the next half is due.
    const now = performance.now() + 0.5;
    for (let first = held[0]; first !== undefined && first.due <= now; first = held[0]) {
      held.shift();
      if (first.piece === null) {
        to.end();
        continue;
      }
      bytesHeld -= first.piece.length;
      to.write(first.piece);
      way.left(first.piece.length);
    }
    if (bytesHeld < bytesHeldMax) from.resume();
    wake();
  };
  const wake = (): void => {
    const first = held[0];
    if (first === undefined || timer !== undefined) return;
    timer = setTimeout(send, Math.max(0, first.due - performance.now()));
  };
  const hold = (piece: Buffer | null): void => {
    const through = way.through(piece?.length ?? 0);
    held.push({ piece, due: Math.max(performance.now(), way.notBefore, through) + oneWayMs });
    wake();
  };
  from.on('data', (piece: Buffer) => {
    way.came();
    hold(piece);
    bytesHeld += piece.length;
    if (bytesHeld >= bytesHeldMax) from.pause();
  });
  from.on('end', () => {
    hold(null);
  });
  to.on('close', () => {
    clearTimeout(timer);
    from.destroy();
  });
}
