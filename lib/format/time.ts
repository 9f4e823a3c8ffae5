/** Seconds since 1970 as ISO 8601 in UTC (`2015-09-21T09:00:00Z`); a number beyond all dates as that number. */
export function isoTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().replace('.000Z', 'Z');
}
