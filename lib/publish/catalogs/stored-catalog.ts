import type Database from 'better-sqlite3';
import { PinfsError } from '../../format/errors.js';
import { objectText, type ObjectName } from '../../format/hash.js';
import { catalogRules } from '../../tree/catalog/catalog-schema.js';
import { openGuarded, sqliteFault } from '../../tree/catalog/guarded-sqlite.js';

/**
 * Opens a catalog of a repository, which others may have made, guarded as that of a mount is.
 * @param bytes as they are unpacked
 * @throws PinfsError CATALOG_NOT_SQLITE, CATALOG_SCHEMA
 */
export function openStoredCatalog(bytes: Buffer, object: ObjectName): Database.Database {
  const subject = `catalog ${objectText(object)}`;
  return openGuarded(bytes, { ...catalogRules, subject }).database;
}

/** What reading of such a catalog threw, as an error that names it. */
export function catalogFault(thrown: unknown, object: ObjectName): unknown {
  if (thrown instanceof PinfsError) return thrown;
  return sqliteFault(thrown, { ...catalogRules, subject: `catalog ${objectText(object)}` });
}
