import { homedir } from 'node:os';
import { join } from 'node:path';
import { readGiven } from '../../../files/given.js';
import { errorCode } from '../../../format/errno.js';
import { fileFault } from '../../../format/file-fault.js';
import { quoted } from '../../../format/bytes.js';
import { PinfsError } from '../../../format/errors.js';
import type { Variables } from '../../../machine/places.js';

/** Where a bucket is, and who asks for it, by the conventions of AWS. */
export interface BucketSettings {
  readonly bucket: string;
  /** Without slashes at its ends. */
  readonly prefix: string;
  /** What paths are added to. */
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

const fileBytesMax = 1024 * 1024;
const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * What `s3://bucket/prefix` means here: endpoint, region and credentials come from the environment, else from the files
 * in `~/.aws`. @throws PinfsError USAGE
 */
export function bucketSettings(text: string, variables: Variables): BucketSettings {
  const [bucket = '', ...rest] = text.replace(/^s3:\/\//, '').split('/');
  const prefix = rest.filter((name) => name !== '').join('/');
  if (!bucketName.test(bucket) || rest.includes('..') || rest.includes('.')) {
    throw new PinfsError('USAGE', `${quoted(text)} is no storage: s3://bucket/prefix`);
  }
  const profile = variables['AWS_PROFILE'] ?? 'default';
  const home = variables['HOME'] ?? homedir();
  const fileOf = (variable: string, name: string) =>
    readProfiles(variables[variable] ?? join(home, '.aws', name));
  const credentials = fileOf('AWS_SHARED_CREDENTIALS_FILE', 'credentials').get(profile);
  const configName = profile === 'default' ? profile : `profile ${profile}`;
  const config = fileOf('AWS_CONFIG_FILE', 'config').get(configName);
  const inFiles = (key: string) => credentials?.get(key) ?? config?.get(key);
  const fromEnvironment = variables['AWS_ACCESS_KEY_ID'] !== undefined;
  const credential = (variable: string, key: string) =>
    fromEnvironment ? variables[variable] : inFiles(key);
  const accessKeyId = credential('AWS_ACCESS_KEY_ID', 'aws_access_key_id');
  const secretAccessKey = credential('AWS_SECRET_ACCESS_KEY', 'aws_secret_access_key');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new PinfsError('USAGE', `there are no credentials for ${text}`, {
      advice: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials.',
    });
  }
  const region =
    variables['AWS_REGION'] ??
    variables['AWS_DEFAULT_REGION'] ??
    config?.get('region') ??
    'us-east-1';
  const endpoint =
    variables['AWS_ENDPOINT_URL_S3'] ??
    variables['AWS_ENDPOINT_URL'] ??
    config?.get('endpoint_url');
  return {
    bucket,
    prefix,
    url: bucketUrl(bucket, region, endpoint),
    region,
    accessKeyId,
    secretAccessKey,
    sessionToken: credential('AWS_SESSION_TOKEN', 'aws_session_token'),
  };
}

/** A server of one's own has its buckets as folders, Amazon's as hosts. */
function bucketUrl(bucket: string, region: string, endpoint: string | undefined): string {
  if (endpoint === undefined) return `https://${bucket}.s3.${region}.amazonaws.com/`;
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw new PinfsError('USAGE', `${quoted(endpoint)} is no endpoint of S3 (AWS_ENDPOINT_URL)`);
  }
  return `${endpoint.replace(/\/+$/, '')}/${bucket}/`;
}

/** Sections with their keys; no file is none. */
function readProfiles(path: string): Map<string, Map<string, string>> {
  let text: string;
  try {
    text = readGiven(path, fileBytesMax).toString('utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return new Map();
    throw new PinfsError('USAGE', `${path} can't be read: ${fileFault(cause, 'read').why}`, {
      cause,
    });
  }
  const profiles = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.split('\n')) {
    const name = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (name !== undefined) profiles.set(name, (section = new Map<string, string>()));
    const pair = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (pair !== null) section?.set(pair[1] ?? '', pair[2] ?? '');
  }
  return profiles;
}
