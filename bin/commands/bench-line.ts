import { basename, dirname, resolve } from 'node:path';
import { existsSync } from 'node:fs';
import { PinfsError } from '../../lib/format/errors.js';
import { isUrl } from '../../lib/source/source-pin.js';

/** A way to a source that is as far and as slow as was asked for. */
export interface FarLine {
  /** The source as it is reached over the way. */
  readonly source: string;
  close(): Promise<void>;
}

/**
 * Puts a relay before a source: a directory is served over HTTP for it.
 * @param roundTripMs added to each round trip. @param lineRate bytes a second.
 * @throws PinfsError USAGE: what is reached by https, or by its name, can have none.
 */
export async function openLine(
  source: string,
  roundTripMs: number,
  lineRate: number | undefined,
): Promise<FarLine> {
  const { startRelay } = await import('../../lib/source/relay.js');
  const rate = lineRate === undefined ? {} : { bytesPerSecond: lineRate };
  if (!isUrl(source)) {
    if (!existsSync(source)) throw noRelay(`'${source}' is no directory`);
    const { serve } = await import('../../lib/source/serve.js');
    const server = await serve(dirname(resolve(source)));
    const relay = await startRelay(server.port, roundTripMs / 2, rate);
    return {
      source: `http://127.0.0.1:${relay.port}/${encodeURIComponent(basename(resolve(source)))}`,
      async close() {
        await relay.close();
        await server.close();
      },
    };
  }
  const url = new URL(source);
  if (url.protocol !== 'http:') throw noRelay('a relay can not stand before https');
  const port = url.port === '' ? 80 : Number(url.port);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const relay = await startRelay(port, roundTripMs / 2, { ...rate, host });
  url.host = `127.0.0.1:${relay.port}`;
  return { source: url.href, close: () => relay.close() };
}

function noRelay(text: string): PinfsError {
  return new PinfsError('USAGE', text, {
    advice: 'With --rtt or --rate give a URL that begins with http://, or a directory.',
  });
}
