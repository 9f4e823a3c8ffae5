/**
 * Plain data for programs with keys that once were others: those stay for one version beside the new ones, so that what
 * reads them has time. A value that is lacking is lacking under both.
 */
export function withOldNames(
  record: Readonly<Record<string, unknown>>,
  oldNames: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const all: Record<string, unknown> = { ...record };
  for (const [oldName, name] of Object.entries(oldNames)) {
    if (name in record) all[oldName] = record[name];
  }
  return all;
}
