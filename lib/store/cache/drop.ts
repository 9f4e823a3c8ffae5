import { removeObject } from './object-files.js';
import { charge, type ObjectRecord, type Records } from './records.js';

/** Takes an object out that isn't what its record says, unless someone has mended it meanwhile. */
export function drop(
  at: string,
  records: Records,
  key: string,
  record: ObjectRecord,
): boolean | undefined {
  return records.tryWrite((sql) => {
    const now = sql.get.get(key);
    if (now?.id !== record.id || now.stamp !== record.stamp) return false;
    sql.remove.run(record.id);
    sql.grow.run(-charge(record.size));
    removeObject(at, key);
    return true;
  });
}
