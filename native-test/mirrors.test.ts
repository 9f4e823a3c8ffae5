import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { seededRandom } from '../lib/testing/trees.js';
import { needsAll, needsDriver, needsProgram } from './machine.js';
import { scene, type Scene } from './scene.js';

// Two mirrors of nginx behind two proxies of Squid, one of which fails while a mount is read by tar.

const fileCount = 200;
const fileBytes = 30_000;
const made = makeRepository({
  revisions: [
    {
      tree: Object.fromEntries(
        Array.from({ length: fileCount }, (_, i) => [
          `file${i}`,
          file(randomBytes(fileBytes / 2).toString('hex')),
        ]),
      ),
    },
  ],
});

/** A program that serves, as one process. */
interface Served {
  readonly port: number;
  readonly process: ChildProcess;
}

interface Site {
  readonly mirrors: readonly (Served & { readonly directory: string })[];
  readonly proxies: readonly Served[];
}

const listensMsMax = 20_000;

async function start(
  t: Test,
  command: string,
  args: readonly string[],
  port: number,
): Promise<Served> {
  const child = spawn(command, args, { stdio: 'ignore' });
  t.teardown(async () => {
    const ended =
      child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await ended;
  });
  for (const end = performance.now() + listensMsMax; performance.now() < end;) {
    if (await listens(port)) return { port, process: child };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${command} does not listen`);
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const closed = once(server, 'close');
  server.close();
  await closed;
  return port;
}

/** What lies in `busy` or `page` of its directory makes it answer so; `root` leads to what it serves. */
async function startNginx(
  t: Test,
  directory: string,
  root: string,
): Promise<Site['mirrors'][number]> {
  const port = await freePort();
  mkdirSync(join(directory, 'tmp'), { recursive: true });
  symlinkSync(root, join(directory, 'root'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/tmp;`)
    .join(' ');
  const path = join(directory, 'nginx.conf');
  writeFileSync(
    path,
    `daemon off; master_process off; pid ${directory}/pid; error_log /dev/null;
events { worker_connections 256; }
http { access_log off; ${temporary}
  server { listen 127.0.0.1:${port}; root ${directory}/root;
    location / {
      if (-f ${directory}/busy) { add_header Retry-After 1 always; return 503; }
      if (-f ${directory}/page) { return 200 '<html><title>Sign in</title></html>'; }
    } } }
`,
  );
  return { ...(await start(t, 'nginx', ['-p', directory, '-c', path], port)), directory };
}

async function startSquid(t: Test, directory: string): Promise<Served> {
  const port = await freePort();
  mkdirSync(directory, { recursive: true });
  const path = join(directory, 'squid.conf');
  writeFileSync(
    path,
    `http_port 127.0.0.1:${port}
http_access allow all
cache_mem 32 MB
maximum_object_size_in_memory 1 MB
access_log none
cache_log /dev/null
cache_store_log none
pid_filename none
pinger_enable off
visible_hostname proxy.example.org
shutdown_lifetime 0 seconds
`,
  );
  return await start(t, 'squid', ['-N', '-f', path], port);
}

/** A copy of which each object has one bit flipped. */
function damagedCopy(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
  for (const directory of readdirSync(join(to, 'data'))) {
    for (const name of readdirSync(join(to, 'data', directory))) {
      const path = join(to, 'data', directory, name);
      const bytes = readFileSync(path);
      const middle = bytes.length >> 1;
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
  }
}

type Fault = (site: Site, damaged: string) => unknown;

const faults: Readonly<Record<string, Fault>> = {
  none: () => undefined,
  'a mirror is killed': ({ mirrors }) => mirrors[0]?.process.kill('SIGKILL'),
  'a mirror is frozen': ({ mirrors }) => mirrors[0]?.process.kill('SIGSTOP'),
  'a mirror is busy (503, Retry-After)': ({ mirrors }) =>
    writeFileSync(join(mirrors[0]?.directory ?? '', 'busy'), ''),
  'a mirror gives a page of HTML': ({ mirrors }) =>
    writeFileSync(join(mirrors[0]?.directory ?? '', 'page'), ''),
  'a mirror gives wrong bytes': ({ mirrors }, damaged) => {
    const directory = mirrors[0]?.directory ?? '';
    symlinkSync(damaged, join(directory, 'next'));
    renameSync(join(directory, 'next'), join(directory, 'root'));
  },
  'a proxy is killed': ({ proxies }) => proxies[0]?.process.kill('SIGKILL'),
  'a proxy is frozen': ({ proxies }) => proxies[0]?.process.kill('SIGSTOP'),
  'a mirror and a proxy are frozen': ({ mirrors, proxies }) => {
    mirrors[0]?.process.kill('SIGSTOP');
    proxies[0]?.process.kill('SIGSTOP');
  },
};

/** tar of a mount; `during` is called when a third of it was read. */
async function tarDigest(mountpoint: string, during: () => unknown): Promise<string> {
  const tar = spawn('tar', ['--sort=name', '-cf', '-', '-C', mountpoint, '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const hash = createHash('sha256');
  let bytes = 0;
  tar.stdout.on('data', (piece: Buffer) => {
    hash.update(piece);
    const before = bytes;
    bytes += piece.length;
    const third = (fileCount * fileBytes) / 3;
    if (before < third && bytes >= third) during();
  });
  const [code] = (await once(tar, 'close')) as [number | null];
  return code === 0 ? hash.digest('hex') : `tar ended with ${code}`;
}

const timeoutMs = 3_000;

async function startSite(t: Test, work: string, root: string): Promise<Site> {
  const mirrors = [
    await startNginx(t, join(work, 'nginx1'), root),
    await startNginx(t, join(work, 'nginx2'), root),
  ];
  const proxies = [
    await startSquid(t, join(work, 'squid1')),
    await startSquid(t, join(work, 'squid2')),
  ];
  return { mirrors, proxies };
}

/** A cold mount is read by tar; `during` is called when a third of it was read. */
async function timeWith(
  here: Scene,
  site: Site,
  work: string,
  during: () => unknown,
): Promise<{ digest: string; took: number; facts: string }> {
  const [first, second] = site.mirrors.map(({ port }) => `http://127.0.0.1:${port}/${made.fqrn}`);
  const list = site.proxies.map(({ port }) => `http://127.0.0.1:${port}`).join(';');
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const at = `mnt-${basename(work)}`;
  // A third of the deadline is the time-out of a first try.
  const deadline = ['--deadline', String((3 * timeoutMs) / 1000)];
  const mountpoint = await here.mount({
    source: first ?? '',
    at,
    cache: `cache-${basename(work)}`,
    args: ['--key', key, '--mirror', second ?? '', '--proxy', list, ...deadline],
  });
  const began = performance.now();
  const digest = await tarDigest(mountpoint, during);
  const took = performance.now() - began;
  const status = await here.status(mountpoint);
  const { traffic, errors } = status?.status ?? {};
  await here.umount(mountpoint);
  return { digest, took, facts: JSON.stringify({ traffic, errors }) };
}

/** Faults that pass, of one of the mirrors or proxies: each says how it is ended. */
type PassingFault = (site: Site, one: number, damaged: string, root: string) => () => unknown;

const frozen = (server: Served | undefined) => {
  server?.process.kill('SIGSTOP');
  return () => server?.process.kill('SIGCONT');
};

const marked = (name: string): PassingFault => {
  return ({ mirrors }, one) => {
    const path = join(mirrors[one]?.directory ?? '', name);
    writeFileSync(path, '');
    return () => rmSync(path);
  };
};

function leadTo(directory: string, to: string): void {
  symlinkSync(to, join(directory, 'next'));
  renameSync(join(directory, 'next'), join(directory, 'root'));
}

const passingFaults: Readonly<Record<string, PassingFault>> = {
  'mirror frozen': ({ mirrors }, one) => frozen(mirrors[one]),
  'proxy frozen': ({ proxies }, one) => frozen(proxies[one]),
  'mirror busy': marked('busy'),
  'mirror gives HTML': marked('page'),
  'mirror gives wrong bytes': ({ mirrors }, one, damaged, root) => {
    const directory = mirrors[one]?.directory ?? '';
    leadTo(directory, damaged);
    return () => leadTo(directory, root);
  },
};

const needs = needsAll(
  needsDriver('kernel'),
  needsProgram('nginx'),
  needsProgram('squid'),
  needsProgram('tar'),
);

void t.test(
  'tar of a mount while servers and proxies fail',
  { ...needs, timeout: 280_000 },
  async (t) => {
    const here = scene(t, 'kernel');
    const source = made.writeTo(here.work);
    const root = join(here.directory('root'), made.fqrn);
    cpSync(source, root, { recursive: true });
    const damaged = here.directory('damaged');
    damagedCopy(root, join(damaged, made.fqrn));
    let base = 0;
    let right = '';
    for (const [name, fault] of Object.entries(faults)) {
      const work = here.directory(`site ${name}`.replace(/\W+/g, '-'));
      const site = await startSite(t, work, here.directory('root'));
      const { digest, took, facts } = await timeWith(here, site, work, () => fault(site, damaged));
      if (name === 'none') [base, right] = [took, digest];
      t.match(digest, /^[0-9a-f]{64}$/, name);
      t.equal(digest, right, `${name}: each byte is right`);
      const lost = Math.max(0, took - base);
      t.comment(
        `${name}: ${(lost / 1000).toFixed(1)} s lost of ${(took / 1000).toFixed(1)}; ${facts}`,
      );
      // Once its time-out, on a machine that does other things as well.
      t.ok(lost < 3 * timeoutMs, `${name}: ${Math.round(lost)} ms lost`);
    }
    rmSync(damaged, { recursive: true, force: true });
  },
);

const seed = Number(process.env['PINFS_SEED'] ?? randomInt(2 ** 31));
const rounds = Number(process.env['PINFS_FAULTS'] ?? 2);

void t.test(
  'faults in random order, one after the other on the same servers',
  { ...needs, timeout: 280_000 + 60_000 * rounds },
  async (t) => {
    t.comment(`PINFS_SEED=${seed} PINFS_FAULTS=${rounds}`);
    const random = seededRandom(seed);
    const here = scene(t, 'kernel');
    const root = here.directory('root');
    made.writeTo(root);
    const damaged = here.directory('damaged');
    damagedCopy(join(root, made.fqrn), join(damaged, made.fqrn));
    const site = await startSite(t, here.directory('site'), root);
    const names = Object.keys(passingFaults);
    let right: string | undefined;
    for (let round = 0; round <= rounds; round++) {
      // The first one is without.
      const name = round === 0 ? 'none' : (names[Math.floor(random() * names.length)] ?? '');
      const one = random() < 0.5 ? 0 : 1;
      let end = (): unknown => undefined;
      const { digest, took, facts } = await timeWith(
        here,
        site,
        here.directory(`r${round}`),
        () => {
          end = passingFaults[name]?.(site, one, damaged, root) ?? end;
        },
      );
      end();
      right ??= digest;
      t.match(digest, /^[0-9a-f]{64}$/, name);
      t.equal(digest, right, `round ${round}, ${name} (${one}): each byte is right`);
      t.comment(`${name} (${one}): ${(took / 1000).toFixed(1)} s; ${facts}`);
    }
  },
);
