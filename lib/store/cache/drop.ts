import type { Records } from './records.js';
import type { ObjectRecord } from './statements.js';
import { removeRecorded } from './remove.js';

/** Takes an object out that isn't what its record says, unless someone has mended it meanwhile. */
export function drop(
  at: string,
  records: Records,
  key: string,
  record: ObjectRecord,
): boolean | undefined {
  return records.tryWrite((sql) => {
    const now = sql.get.get(key);
    const isSame =
      now?.id === record.id &&
      now.stamp === record.stamp &&
      now.segment === record.segment &&
      now.place === record.place;
    if (!isSame) return false;
    removeRecorded(sql, at, { ...record, key });
    return true;
  });
}
