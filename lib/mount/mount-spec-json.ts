import { decoder, type Decoder, type SchemaLibrary } from '../format/schema.js';
import { mountOptionTable } from '../options/mount-options.js';
import type { OptionRow, OptionRows, OptionValues } from '../options/option.js';
import { sourceOptionTable } from '../options/source-options.js';
import type { OpenOptions, SiteData } from '../repository/open/options.js';
import type { MountSpec } from './mount-spec.js';
import type { MountOptions } from './options.js';

/** What of the options has no row in a table: whoever adds one there adds its schema here. */
type Rowless<Options, Rows> = Readonly<Record<Exclude<keyof Options, keyof Rows>, unknown>>;

/** A mount spec as it comes over the pipe from the process that asks for the mount; undefined: it is none. */
export const readMountSpec: Decoder<MountSpec> = decoder((v) => {
  const one = oneMountSchema(v);
  return v.object({ ...one, others: v.exactOptional(v.array(v.object(one))) });
});

function oneMountSchema(v: SchemaLibrary) {
  return {
    options: v.intersect([
      optionSchema(v, sourceOptionTable),
      v.object({
        source: v.string(),
        site: v.exactOptional(
          v.object({
            note: v.string(),
            pinNote: v.exactOptional(v.string()),
            nearest: v.exactOptional(v.string()),
            network: networkSchema(v),
            external: v.exactOptional(
              v.intersect([
                networkSchema(v),
                v.object({
                  mirrors: v.exactOptional(v.array(v.string())),
                  proxies: v.exactOptional(v.string()),
                }),
              ]),
            ),
            blacklist: v.exactOptional(v.string()),
            shown: v.exactOptional(
              v.object({
                uidMap: v.exactOptional(v.string()),
                gidMap: v.exactOptional(v.string()),
                worldReadable: v.exactOptional(v.boolean()),
              }),
            ),
            maxTtl: v.exactOptional(v.pipe(v.number(), v.minValue(0))),
          } satisfies Readonly<Record<keyof SiteData, unknown>>),
        ),
      } satisfies Rowless<OpenOptions, typeof sourceOptionTable>),
    ]),
    mount: v.intersect([
      optionSchema(v, mountOptionTable),
      v.object({
        mountpoint: v.string(),
        place: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(0))),
        fsname: v.exactOptional(v.string()),
        ownPlace: v.exactOptional(v.boolean()),
        noExec: v.exactOptional(v.boolean()),
        protectedXattrs: v.exactOptional(
          v.object({ names: v.array(v.string()), gids: v.array(v.number()) }),
        ),
        deadline: v.number(),
        verbose: v.boolean(),
      } satisfies Rowless<MountOptions, typeof mountOptionTable>),
    ]),
  };
}

/** Each of them: what is not named here would be lost on its way to the process of a mount. */
const networkFields: Readonly<Record<keyof SiteData['network'], 'number' | 'text' | 'boolean'>> = {
  fallbackProxies: 'text',
  timeout: 'number',
  timeoutDirect: 'number',
  lowSpeedLimit: 'number',
  maxRetries: 'number',
  backoff: 'number',
  backoffMax: 'number',
  proxyResetAfter: 'number',
  hostResetAfter: 'number',
  proxyShard: 'boolean',
  maxServers: 'number',
  geo: 'boolean',
  proxyTemplate: 'text',
  dnsServer: 'text',
  dnsTimeout: 'number',
  dnsRetries: 'number',
  dnsMinTtl: 'number',
  dnsMaxTtl: 'number',
  dnsRoaming: 'boolean',
  ipFamily: 'number',
  addressesPerProxy: 'number',
};

function networkSchema(v: SchemaLibrary) {
  const schemas = {
    number: v.exactOptional(v.pipe(v.number(), v.minValue(0))),
    text: v.exactOptional(v.string()),
    boolean: v.exactOptional(v.boolean()),
  };
  const fields = Object.entries(networkFields).map(
    ([name, kind]) => [name, schemas[kind]] as const,
  );
  return v.object(Object.fromEntries(fields));
}

function optionSchema<Rows extends OptionRows>(v: SchemaLibrary, rows: Rows) {
  const schemas = Object.entries(rows).map(([name, row]) => {
    const one = valueSchema(v, row);
    const value = row.repeatable === true ? v.array(one) : one;
    const isThere = row.default !== undefined || row.required === true;
    return [name, isThere ? value : v.exactOptional(value)] as const;
  });
  return v.pipe(
    v.object(Object.fromEntries(schemas)),
    // Each value was looked at as its row says.
    v.transform((values) => values as OptionValues<Rows>),
  );
}

function valueSchema(v: SchemaLibrary, { kind, choices = [] }: OptionRow) {
  switch (kind) {
    case 'flag':
      return v.boolean();
    case 'text':
    case 'path':
    case 'directory':
    case 'place':
      return v.string();
    case 'size':
    case 'sizeOrOff':
    case 'seconds':
    case 'gid':
    case 'number':
      return v.number();
    case 'choice':
      return v.picklist(choices);
  }
}
