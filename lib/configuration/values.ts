/* What the texts of values mean, as the reference reads them. */

/** `yes`, `on`, `1`, `true`, in any case; anything else is not on. */
export function isOn(text: string | undefined): boolean {
  return /^(yes|on|1|true)$/i.test(text ?? '');
}

/** `no`, `off`, `0`, `false`, in any case; what is neither on nor off may be either. */
export function isOff(text: string | undefined): boolean {
  return /^(no|off|0|false)$/i.test(text ?? '');
}

/** The digits at the beginning; what has none is 0. */
export function numberOf(text: string): number {
  return Number(/^\s*[+-]?\d{1,15}/.exec(text)?.[0] ?? 0);
}

export function isNumber(text: string): boolean {
  return /^-?\d{1,15}$/.test(text);
}

/** Elements between semicolons; empty ones are left out. */
export function urlsOf(text: string): string[] {
  return text.split(';').filter((url) => url !== '');
}

/** Groups between semicolons, of members between bars. Empty members are kept: they can never work. */
export function proxyGroups(text: string): string[][] {
  return text === '' ? [] : text.split(';').map((group) => group.split('|'));
}

/** Elements between commas, or other signs; blanks around them don't count. */
export function elementsOf(text: string, sign = ','): string[] {
  return text
    .split(sign)
    .map((element) => element.trim())
    .filter((element) => element !== '');
}
