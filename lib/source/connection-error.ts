import { machineFault, PinfsError } from '../format/errors.js';

function code(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

export function isClosedConnection(error: Error): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(code(error));
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the host name can not be looked up at the moment',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ECONNRESET: 'the server closed the connection',
  EPIPE: 'the server closed the connection',
  UND_ERR_SOCKET: 'the server closed the connection',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer was cut short',
  UND_ERR_HEADERS_OVERFLOW: 'the headers of the answer are too long',
};

/** A connection's error in our words; `final`: asking again can't help. */
export function describeConnection(
  shown: () => string,
  error: Error,
  begun: boolean,
): { error: PinfsError; final: boolean } {
  const name = code(error);
  const ours = machineFault(error);
  if (ours !== undefined) {
    const fault = new PinfsError(ours.code, `${shown()} was not asked: ${ours.message}`, {
      advice: ours.advice,
      cause: error,
    });
    return { error: fault, final: ours.code !== 'FILES_EXHAUSTED' };
  }
  if (name === 'UND_ERR_CONNECT_TIMEOUT' || name === 'ETIMEDOUT') {
    const late = new PinfsError('SOURCE_TIMEOUT', `${shown()}: no connection in time`);
    return { error: late, final: false };
  }
  const reason =
    begun && isClosedConnection(error)
      ? 'the answer was cut short'
      : (reasons[name] ??
        (name.startsWith('HPE_') ? 'what answers does not speak HTTP' : name || error.message));
  const unreachable = new PinfsError('SOURCE_UNREACHABLE', `${shown()}: ${reason}`, {
    advice: 'Check the address and the network; --offline uses what is in the cache.',
    cause: error,
  });
  const final = name === 'ENOTFOUND' || /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(name);
  return { error: unreachable, final };
}
