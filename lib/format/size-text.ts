/** A number of bytes, or of bytes in a second, for people: `1.5 MiB`. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, index] = [bytes, 0];
  while (value >= 1024 && index < names.length - 1) [value, index] = [value / 1024, index + 1];
  return `${index === 0 ? String(Math.round(value)) : value.toFixed(1)} ${names[index] ?? ''}`;
}
