import { setTimeout as sleep } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';
import { printable, fromText } from '../../../format/bytes.js';
import { PinfsError } from '../../../format/errors.js';
import type { BucketSettings } from './settings.js';

/** Requests to one bucket, signed. Paths are those of the storage, the prefix left out. */
export interface Bucket {
  readonly name: string;
  /**
   * Asks again while the server is busy or gone. @param expected statuses that are answers, besides success
   * @returns the answer, and whether it was asked more than once. @throws PinfsError STORAGE_FAILED
   */
  ask(question: Question): Promise<{ readonly response: Response; readonly again: boolean }>;
  readonly prefix: string;
}

interface Question {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** undefined: the bucket itself. */
  readonly path?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | Blob;
  readonly expected?: readonly number[];
}

const triesMax = 5;
const firstPauseMs = 100;
const requestMs = 10 * 60_000;

export function openBucket(settings: BucketSettings): Bucket {
  const { bucket, prefix, url, region, accessKeyId, secretAccessKey, sessionToken } = settings;
  const client = new AwsClient({
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service: 's3',
    region,
    retries: 0,
  });
  const name = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
  const below = prefix === '' ? '' : `${prefix}/`;
  return {
    name,
    prefix: below,
    async ask({ method, path, query = {}, headers = {}, body, expected = [] }) {
      const key = path === undefined ? '' : below + path;
      const target = new URL(key.split('/').map(encodeURIComponent).join('/'), url);
      for (const [field, value] of Object.entries(query)) target.searchParams.set(field, value);
      const what = `${method} ${key === '' ? 'the bucket' : key}`;
      for (let tries = 1; ; tries++) {
        let problem: PinfsError;
        try {
          const response = await client.fetch(target, {
            method,
            headers,
            ...(body === undefined
              ? {}
              : { body: body instanceof Blob ? body : new Uint8Array(body) }),
            signal: AbortSignal.timeout(requestMs),
          });
          const { status, ok } = response;
          if (ok || expected.includes(status)) return { response, again: tries > 1 };
          problem = await refusal(name, what, response);
          if (status < 500 && status !== 429) throw problem;
        } catch (thrown) {
          if (thrown instanceof PinfsError) throw thrown;
          problem = unreachable(name, what, thrown);
        }
        if (tries === triesMax) throw problem;
        await sleep(firstPauseMs * 2 ** (tries - 1) * (1 + Math.random()));
      }
    },
  };
}

const answerBytesMax = 64 * 1024;

async function refusal(name: string, what: string, response: Response): Promise<PinfsError> {
  const text = Buffer.from(await bodyOf(response, answerBytesMax)).toString('utf8');
  const code = /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1] ?? '';
  const shown = printable(fromText(code));
  const message = `${name} answers ${response.status} ${shown} to ${what}`;
  return new PinfsError('STORAGE_FAILED', message.replace('  ', ' '), {
    advice:
      response.status === 403
        ? 'Check credentials and region, and what they may do.'
        : 'What is published is as it was: do it again later.',
  });
}

function unreachable(name: string, what: string, thrown: unknown): PinfsError {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PinfsError('STORAGE_FAILED', `${name} can't be reached for ${what}: ${reason}`, {
    advice: 'Check AWS_ENDPOINT_URL and the network. What is published is as it was.',
    cause: thrown,
  });
}

/** The bytes of an answer, at most so many. @throws PinfsError OBJECT_TOO_LARGE */
export async function bodyOf(response: Response, limit: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  if (response.body !== null) {
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      size += part.length;
      if (size > limit) {
        throw new PinfsError('OBJECT_TOO_LARGE', `an answer of S3 is larger than ${limit} bytes`);
      }
      parts.push(part);
    }
  }
  return Buffer.concat(parts);
}
