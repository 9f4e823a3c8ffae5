/** A name server on loopback, for tests: it answers as it is told to. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode, type Answer, type DecodedPacket } from 'dns-packet';

/** What a name server does with each question from now on. */
export type NameServerFault =
  | 'good'
  /** Says nothing. */
  | 'silent'
  /** SERVFAIL: it can't answer just now. */
  | 'failing'
  /** Bytes that are no answer. */
  | 'garbage'
  /** Answers another question. */
  | 'another'
  | { readonly delayMs: number };

export interface NameServer {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** Names that were asked for, once for each kind of address. */
  readonly questions: string[];
  behave(fault: NameServerFault): void;
  /** From now on; no addresses: there is no such name. */
  set(name: string, addresses: readonly string[], ttlSeconds?: number): void;
  close(): Promise<void>;
}

// More than any test asks.
const questionsMax = 10_000;

export async function startNameServer(
  names: Readonly<Record<string, readonly string[]>> = {},
): Promise<NameServer> {
  const known = new Map<string, { readonly addresses: readonly string[]; readonly ttl: number }>();
  for (const [name, addresses] of Object.entries(names)) known.set(name, { addresses, ttl: 0 });
  const questions: string[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let fault: NameServerFault = 'good';
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  socket.on('message', (bytes, { port, address }) => {
    if (questions.length >= questionsMax) return;
    const query = decode(bytes);
    const [{ name, type } = { name: '', type: 'A' as const }] = query.questions ?? [];
    questions.push(name);
    if (fault === 'silent') return;
    const { addresses = [], ttl = 0 } = known.get(name) ?? {};
    const ofKind = addresses.filter((one) => one.includes(':') === (type === 'AAAA'));
    const answers = ofKind.map((data): Answer => ({
      type: type === 'AAAA' ? type : 'A',
      name,
      ttl,
      data,
    }));
    const answer = answerTo(query, answers, fault, addresses.length > 0);
    const delay = typeof fault === 'object' ? fault.delayMs : 0;
    timers.add(setTimeout(() => socket.send(answer, port, address), delay));
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    behave(next) {
      fault = next;
    },
    set(name, addresses, ttlSeconds = 0) {
      known.set(name, { addresses, ttl: ttlSeconds });
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

const responseCodes = { none: 0, failing: 2, unknown: 3 };

function answerTo(
  { id = 0, questions = [] }: DecodedPacket,
  answers: Answer[],
  fault: NameServerFault,
  isKnown: boolean,
): Buffer {
  if (fault === 'garbage') return Buffer.from('no answer at all');
  const code = fault === 'failing' ? 'failing' : isKnown ? 'none' : 'unknown';
  return encode({
    id: fault === 'another' ? id ^ 1 : id,
    type: 'response',
    flags: responseCodes[code],
    questions,
    answers: code === 'none' ? answers : [],
  });
}
