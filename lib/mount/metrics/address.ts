import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { isLoopback } from '../../machine/loopback.js';

/** Where the metrics are to be had. */
export type MetricsAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'port'; readonly host: string; readonly port: number };

// sun_path of Linux has 108 bytes, with the zero at its end.
const socketPathBytesMax = 107;

/**
 * `ADDR:PORT`, `[ADDR]:PORT` or `unix:PATH`. Only loopback, and a socket of its owner's, unless it is public.
 * @throws PinfsError USAGE
 */
export function parseMetricsAddress(text: string, isPublic: boolean): MetricsAddress {
  const refuse = (why: string): PinfsError =>
    new PinfsError('USAGE', `--metrics: ${why}`, {
      advice: 'Write it like 127.0.0.1:9100, [::1]:9100 or unix:/run/pinfs/metrics.sock.',
    });
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (!isAbsolute(path)) throw refuse('the path of a socket begins with /');
    if (path.includes('\0') || Buffer.byteLength(path) > socketPathBytesMax)
      throw refuse(`the path of a socket has ${socketPathBytesMax} bytes at most`);
    return { kind: 'unix', path };
  }
  const found = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<four>[0-9.]+|localhost)):(?<port>\d{1,5})$/.exec(
    text,
  );
  const { six, four, port = '' } = found?.groups ?? {};
  const host = six ?? (four === 'localhost' ? '127.0.0.1' : four);
  const number = Number(port);
  if (found === null || host === undefined || isIP(host) !== (six === undefined ? 4 : 6))
    throw refuse('that is no address and port');
  if (number > 65_535) throw refuse(`there is no port ${port}`);
  if (!isPublic && !isLoopback(host)) {
    throw new PinfsError('USAGE', `--metrics: ${host} can be reached from other machines`, {
      advice: 'Take 127.0.0.1, or say --public if that is meant.',
    });
  }
  return { kind: 'port', host, port: number };
}
