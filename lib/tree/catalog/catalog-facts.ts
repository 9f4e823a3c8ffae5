import { fromBytes, toBytes, type ByteString } from '../../format/bytes.js';
import { counterNames, isName } from '../../format/catalog-row.js';
import { PinfsError } from '../../format/errors.js';
import type { CatalogFile } from './catalog-file.js';
import { disorder } from './damage.js';
import { wantOfNested, type Catalog } from './catalogs.js';
import type {
  BrokenPath,
  CatalogInfo,
  NestedCatalog,
  NestedCatalogs,
  RootProperties,
} from '../tree.js';

const defaultTtlSeconds = 240;

export function describeCatalog(catalog: Catalog, file: CatalogFile): CatalogInfo {
  const stored = file.counters();
  const counters = new Map(
    counterNames.map((name) => {
      const self = stored.get(`self_${name}`) ?? 0n;
      const subtree = stored.get(`subtree_${name}`) ?? 0n;
      return [name, { self, subtree }] as const;
    }),
  );
  return { number: catalog.number, mountpoint: catalog.mountpoint, want: catalog.want, counters };
}

/** Properties of a root catalog (docs/format.md, 5.13); what is missing or no number has its default. */
export function readProperties(file: CatalogFile): RootProperties {
  const text = (key: string): string | undefined => {
    const bytes = file.property(key);
    return bytes === undefined ? undefined : toBytes(bytes).toString('utf8');
  };
  const number = (key: string, fallback: number): number => {
    const value = text(key);
    return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : fallback;
  };
  const previous = text('previous_revision');
  const revision = text('schema_revision');
  return {
    revision: number('revision', 0),
    lastModified: number('last_modified', 0),
    ttl: number('TTL', defaultTtlSeconds),
    schema: file.schema.text + (revision === undefined ? '' : ` revision ${revision}`),
    volatile: text('volatile') === '1',
    vomsAuthz: text('voms_authz') || undefined,
    // The first catalog of a repository names zeros, 40 or 64 of them.
    previousRevision: previous === undefined || /^0*$/.test(previous) ? undefined : previous,
  };
}

const nestedCatalogsMax = 2 ** 20;
const nestedPageRows = 1024;

/** All nested catalogs and bind mountpoints that a catalog lists, with visible paths. */
export function listNested(catalog: Catalog, file: CatalogFile): NestedCatalogs {
  const catalogs: NestedCatalog[] = [];
  const broken: BrokenPath[] = [];
  for (const bind of [false, true]) {
    for (let after = 0, more = true; more && catalogs.length < nestedCatalogsMax;) {
      const rows = file.nestedRows(bind, after, nestedPageRows);
      more = rows.length === nestedPageRows;
      for (const row of rows) {
        if (!(row.rowid > after)) throw disorder(catalog.mountpoint);
        after = row.rowid;
        const mountpoint = visibleMountpoint(catalog, fromBytes(row.path));
        // What lies elsewhere is never mounted, so it isn't part of the tree (docs/format.md, 11).
        if (mountpoint === undefined) continue;
        const want = wantOfNested(row, mountpoint, file.schema.nestedWithoutHash);
        if (want instanceof PinfsError) broken.push({ path: mountpoint, error: want });
        else catalogs.push({ mountpoint, want, bind });
      }
    }
  }
  return { catalogs, broken };
}

/** A listed path as it is seen in this tree; undefined if it isn't a proper path below the catalog's root. */
function visibleMountpoint(catalog: Catalog, path: ByteString): ByteString | undefined {
  if (!path.startsWith(`${catalog.prefix}/`)) return undefined;
  const below = path.slice(catalog.prefix.length);
  return below.slice(1).split('/').every(isName) ? catalog.mountpoint + below : undefined;
}
