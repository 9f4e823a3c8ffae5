import { PinfsError } from '../../../format/errors.js';
import type { ListedFile } from '../storage.js';
import { bodyOf, type Bucket } from './requests.js';

// A thousand keys of a kilobyte each, coded.
const pageBytesMax = 8 * 1024 * 1024;

/** What lies in a bucket below the prefix of the storage (ListObjectsV2). @throws PinfsError STORAGE_FAILED */
export async function* listBucket(bucket: Bucket, prefix: string): AsyncIterable<ListedFile> {
  const start = bucket.prefix;
  for (let token: string | undefined; ;) {
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      prefix: start + prefix,
      ...(token === undefined ? {} : { 'continuation-token': token }),
    };
    const { response } = await bucket.ask({ method: 'GET', query });
    const text = (await bodyOf(response, pageBytesMax)).toString('utf8');
    if (!text.includes('<ListBucketResult')) {
      throw new PinfsError('STORAGE_FAILED', `${bucket.name} answers no list of a bucket`);
    }
    for (const [, entry = ''] of text.matchAll(/<Contents>([^]*?)<\/Contents>/g)) {
      const key = decodeURIComponent(field(entry, 'Key').replaceAll('+', ' '));
      if (!key.startsWith(start)) continue;
      yield {
        path: key.slice(start.length),
        size: Number(field(entry, 'Size')),
        modified: new Date(field(entry, 'LastModified')),
      };
    }
    token = field(text, 'NextContinuationToken');
    if (field(text, 'IsTruncated') !== 'true' || token === '') return;
  }
}

const entities: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
  '&amp;': '&',
};

function field(xml: string, name: string): string {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? '';
  return text.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => entities[entity] ?? entity);
}
