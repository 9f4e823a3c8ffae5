import { errorCode } from '../../format/errno.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { takeBackFiles } from '../../machine/file-budget.js';
import type { Fault } from '../failover/failover.js';
import type { Retry } from './request.js';
import { faultBehind } from '../../machine/descriptors.js';

export function isClosedConnection(error: Error): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(errorCode(error) ?? '');
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

// Nothing was asked yet: the proxy is to blame, where there is one.
const beforeAnyRequest: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

const authorityCodes: ReadonlySet<string> = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Whether a server was refused because nobody here vouches for its certificate. */
export function isUnknownAuthority(error: Error): boolean {
  return authorityCodes.has(errorCode(error) ?? '');
}

/** What https could not agree on. None of it passes by asking again. */
function tlsError(shown: string, error: Error): PinfsError | undefined {
  const name = errorCode(error) ?? '';
  const refused = (as: ErrorCode, what: string, advice: string): PinfsError =>
    new PinfsError(as, `${shown}: ${what} (${name})`, { advice, cause: error });
  const offline = '--offline uses what is in the cache.';
  if (isUnknownAuthority(error)) {
    return refused(
      'TLS_AUTHORITY_UNKNOWN',
      "the server's certificate is signed by no authority that this machine knows",
      `If it is to be trusted: add the authority's certificate to the system's (update-ca-certificates), or name its file in NODE_EXTRA_CA_CERTS. ${offline}`,
    );
  }
  if (name === 'CERT_HAS_EXPIRED' || name === 'CERT_NOT_YET_VALID') {
    const how = name === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet';
    return refused(
      'TLS_CERTIFICATE_DATE',
      `the server's certificate ${how}; this machine's clock says ${new Date().toISOString()}`,
      `Check the clock (date). If it is right, whoever runs the server has to renew the certificate. ${offline}`,
    );
  }
  if (name === 'ERR_TLS_CERT_ALTNAME_INVALID' || name === 'HOSTNAME_MISMATCH') {
    const { reason } = error as { reason?: unknown };
    const detail = typeof reason === 'string' ? `: ${reason.slice(0, 300)}` : '';
    return refused(
      'TLS_NAME_MISMATCH',
      `the server's certificate is for another host${detail}`,
      `Give the address under a name that the certificate has. ${offline}`,
    );
  }
  if (
    name === 'EPROTO' ||
    name.startsWith('ERR_SSL_') ||
    name.startsWith('ERR_TLS_') ||
    /CERT|CRL/.test(name)
  ) {
    return refused(
      'TLS_FAILED',
      `no secure connection: ${opensslReason(error)}`,
      'Does the server speak https there? Where it does not, the address begins with http://.',
    );
  }
  return undefined;
}

/** OpenSSL's text is `…:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:…`. */
function opensslReason(error: Error): string {
  const parts = /error:[0-9A-F]{8}:([^\n]{1,300})/.exec(error.message)?.[1]?.split(':') ?? [];
  return parts[2] ?? error.message.slice(0, 300);
}

interface Described {
  readonly error: PinfsError;
  readonly retry: Exclude<Retry, 'stale'>;
  readonly fault: Fault | undefined;
}

/** What undici says where a proxy did not do what it was asked to. */
function proxyRefusal(shown: () => string, error: Error): Described | undefined {
  const status = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(error.message)?.[1];
  if (status === undefined) return undefined;
  if (status === '407') return { error: unauthorized(shown), retry: 'never', fault: 'hop' };
  const text = `${shown()}: the proxy could not connect (HTTP ${status})`;
  const failed = new PinfsError('SOURCE_UNREACHABLE', text, {
    advice: 'Ask who runs the proxy whether it lets through what goes to that server.',
    passing: true,
  });
  return { error: failed, retry: 'later', fault: 'either' };
}

/** A proxy wants to know who asks. */
export function unauthorized(shown: () => string): PinfsError {
  return new PinfsError('SOURCE_STATUS', `${shown()}: the proxy asks for a name and a password`, {
    advice: 'Give them in the address of the proxy: http://name:password@host:port.',
  });
}

/** A connection's error in our words, and whether asking again can help. */
export function describeConnection(shown: () => string, error: Error, begun: boolean): Described {
  const name = errorCode(error) ?? '';
  const ours = faultBehind(error);
  if (ours !== undefined) {
    // For the next try.
    if (ours.code === 'FILES_EXHAUSTED') takeBackFiles();
    const fault = new PinfsError(ours.code, `${shown()} was not asked: ${ours.message}`, {
      advice: ours.advice,
      cause: error,
      passing: ours.code === 'FILES_EXHAUSTED',
    });
    return { error: fault, retry: fault.passing ? 'later' : 'never', fault: undefined };
  }
  if (name === 'UND_ERR_CONNECT_TIMEOUT' || name === 'ETIMEDOUT') {
    const text = `${shown()}: no connection in time`;
    const late = new PinfsError('SOURCE_TIMEOUT', text, { passing: true });
    return { error: late, retry: 'later', fault: 'hop' };
  }
  const refused = proxyRefusal(shown, error);
  if (refused !== undefined) return refused;
  const insecure = tlsError(shown(), error);
  if (insecure !== undefined) return { error: insecure, retry: 'never', fault: 'mirror' };
  const reason =
    begun && isClosedConnection(error)
      ? 'the answer was cut short'
      : (reasons[name] ??
        (name.startsWith('HPE_') ? 'what answers does not speak HTTP' : name || error.message));
  // A server of https says nothing, or something that is no HTTP, to a client that does not speak it.
  const https =
    !begun && (isClosedConnection(error) || name.startsWith('HPE_')) && shown().startsWith('http:');
  const scheme = https ? ' If it is a server of https, the address begins with https://.' : '';
  const unreachable = new PinfsError('SOURCE_UNREACHABLE', `${shown()}: ${reason}`, {
    advice: `Check the address and the network; --offline uses what is in the cache.${scheme}`,
    cause: error,
    passing: true,
  });
  // With no network a resolver often says that there is no such host.
  const fault = beforeAnyRequest.has(name) ? 'hop' : 'either';
  return { error: unreachable, retry: name === 'ENOTFOUND' ? 'mounted' : 'later', fault };
}
