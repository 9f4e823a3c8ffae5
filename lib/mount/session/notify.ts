import { execFile } from 'node:child_process';

/** Milliseconds; systemd itself answers at once. */
const timeoutMs = 5000;

/**
 * Tells systemd that the mount can be used, when it started us and asked for it (sd_notify(3)).
 * Node has no datagram sockets for files, so systemd's own program does it. What goes wrong is
 * systemd's to notice.
 */
export function notifyReady(status: string, variables: Variables = process.env): Promise<void> {
  return notify(['--ready', `--status=${status}`], variables);
}

/** The line that `systemctl status` shows, where it is another by now. */
export function notifyStatus(status: string, variables: Variables = process.env): Promise<void> {
  return notify([`--status=${status}`], variables);
}

type Variables = Readonly<Record<string, string | undefined>>;

function notify(args: readonly string[], variables: Variables): Promise<void> {
  if (variables['NOTIFY_SOCKET'] === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, cwd: '/', env: { ...variables } };
    execFile('systemd-notify', [...args], options, () => {
      resolve();
    });
  });
}
