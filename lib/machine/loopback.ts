import { isIPv4 } from 'node:net';

/** Whether an address of IPv4 or IPv6 can be reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return isIPv4(host) ? host.startsWith('127.') : /^(0{0,4}:){2,7}0{0,3}1$/.test(host);
}
