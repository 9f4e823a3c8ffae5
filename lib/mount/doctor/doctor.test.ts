import t from 'tap';
import { diagnose, type Finding } from './doctor.js';
import type { NativeModule, Probes } from './probes.js';

const names: NativeModule[] = ['better-sqlite3', 'fuse-native', 'koffi'];

function probes(changes: Partial<Probes> = {}, broken: NativeModule[] = []): Probes {
  return {
    platform: 'linux',
    architecture: 'x64',
    node: '20.20.2',
    uid: 1000,
    mayMount: false,
    named: true,
    device: 'usable',
    kernelModule: true,
    fusermount: { path: '/usr/bin/fusermount3', setuid: true },
    userNamespaces: 'allowed',
    userAllowOther: true,
    modules: names.map((name) => ({
      name,
      loads: !broken.includes(name),
      problem: broken.includes(name) ? 'no such file' : undefined,
    })),
    cache: { directory: '/home/a/.cache/pinfs', state: 'usable', free: 2 ** 33, verity: false },
    trials: {},
    clock: { now: Date.UTC(2026, 0), installed: Date.UTC(2025, 0) },
    oldPrograms: false,
    ...changes,
  };
}

function finding(given: Probes, what: string): Finding {
  const found = diagnose(given).findings.find((candidate) => candidate.what === what);
  if (found === undefined) throw new Error(`nothing about ${what}`);
  return found;
}

void t.test('a healthy machine is healthy in every line', (t) => {
  const { canMount, drivers, findings } = diagnose(probes());
  t.ok(canMount);
  t.same(drivers, { kernel: true, 'fuse-native': true });
  for (const { what, state } of findings) t.equal(state, 'good', what);
  t.end();
});

void t.test('each driver stands or falls with its module', (t) => {
  t.same(diagnose(probes({}, ['koffi'])).drivers, { kernel: false, 'fuse-native': true });
  t.match(finding(probes({}, ['koffi']), 'mounting'), { state: 'note', message: /slower/ });
  t.same(diagnose(probes({}, ['fuse-native'])).drivers, { kernel: true, 'fuse-native': false });
  t.match(finding(probes({}, ['fuse-native']), 'fuse-native').mend, /libfuse2/);
  t.notOk(diagnose(probes({}, ['koffi', 'fuse-native'])).canMount);
  t.end();
});

void t.test('no device, no mount, and the words that mend it', (t) => {
  for (const device of ['absent', 'denied', 'no-driver'] as const) {
    const given = probes({ device });
    t.notOk(diagnose(given).canMount, device);
    t.match(finding(given, 'device'), { state: 'problem', mend: /./ });
    t.match(finding(given, 'mounting'), { state: 'problem', mend: /without FUSE/i });
  }
  t.end();
});

void t.test('a user needs a set-uid fusermount and a name; root needs neither', (t) => {
  const without: Partial<Probes>[] = [
    { fusermount: undefined },
    { fusermount: { path: '/usr/bin/fusermount3', setuid: false } },
    { named: false },
  ];
  for (const changes of without) {
    t.notOk(diagnose(probes(changes)).canMount, JSON.stringify(changes));
    t.equal(finding(probes(changes), 'fusermount').state, 'problem');
    t.ok(diagnose(probes({ ...changes, mayMount: true, uid: 0 })).canMount);
  }
  t.end();
});

void t.test('packages are named only where a mount lacks them', (t) => {
  t.same(diagnose(probes()).packages, []);
  t.same(diagnose(probes({ fusermount: undefined })).packages, ['fuse3']);
  t.same(diagnose(probes({ fusermount: undefined, mayMount: true })).packages, []);
  const modules = probes({}, ['koffi', 'fuse-native']).modules.map((module) =>
    module.name === 'fuse-native'
      ? { ...module, problem: 'Error: libfuse.so.2: cannot open shared object file' }
      : module,
  );
  t.same(diagnose(probes({ modules })).packages, ['libfuse2']);
  t.same(diagnose(probes({ modules, device: 'absent', fusermount: undefined })).packages, [
    'fuse3',
    'libfuse2',
  ]);
  t.end();
});

void t.test('every finding that is a problem says how to mend it', (t) => {
  const worst = probes(
    {
      node: '18.1.0',
      device: 'absent',
      kernelModule: false,
      fusermount: undefined,
      userNamespaces: 'forbidden',
      userAllowOther: false,
      cache: { directory: '/x', state: 'denied', free: 0 },
      clock: { now: 0, installed: Date.UTC(2025, 0) },
      oldPrograms: true,
    },
    names,
  );
  for (const { what, state, mend } of diagnose(worst).findings) {
    t.not(state, 'good', what);
    t.ok(mend, what);
  }
  t.end();
});

void t.test('versions of Node', (t) => {
  t.equal(finding(probes({ node: '20.18.0' }), 'node').state, 'problem');
  t.equal(finding(probes({ node: '20.19.0' }), 'node').state, 'good');
  t.equal(finding(probes({ node: '22.1.0' }), 'node').state, 'note');
  t.end();
});

void t.test('caches that others can write, or that are full', (t) => {
  const cache = (state: Probes['cache']['state'], free = 2 ** 33) =>
    finding(probes({ cache: { directory: '/c', state, free } }), 'cache').state;
  t.equal(cache('to-be-made'), 'good');
  t.equal(cache('foreign'), 'problem');
  t.equal(cache('open-to-group'), 'problem');
  t.equal(cache('usable', 1000), 'note');
  t.end();
});

void t.test('fs-verity is told, and no matter', (t) => {
  const place = { directory: '/c', state: 'usable', free: 2 ** 33 } as const;
  const said = (verity: boolean | undefined) =>
    finding(probes({ cache: { ...place, verity } }), 'fs-verity');
  t.match(said(true), { state: 'good', message: /has it/ });
  t.match(said(false), { state: 'good', message: /none/ });
  t.match(said(undefined), { state: 'note', message: /not be seen/ });
  t.end();
});

void t.test('a clock before the day of installation, or after the century', (t) => {
  const clock = (now: number) =>
    finding(probes({ clock: { now, installed: Date.UTC(2025, 0) } }), 'clock').state;
  t.equal(clock(Date.UTC(2024, 0)), 'problem');
  t.equal(clock(Date.UTC(2101, 0)), 'problem');
  t.equal(clock(Date.UTC(2025, 1)), 'good');
  t.end();
});

void t.test('user namespaces are never needed', (t) => {
  for (const state of ['forbidden', 'restricted'] as const) {
    t.equal(finding(probes({ userNamespaces: state }), 'namespaces').state, 'note');
    t.ok(diagnose(probes({ userNamespaces: state })).canMount);
  }
  t.end();
});

void t.test('another system than Linux', (t) => {
  const mac = probes({ platform: 'darwin', device: 'absent', kernelModule: undefined });
  t.same(diagnose(mac).drivers, { kernel: false, 'fuse-native': true });
  t.end();
});

void t.test('whatever prevents a mount is a failure of the whole', (t) => {
  t.notOk(diagnose(probes({}, ['better-sqlite3'])).canMount);
  t.match(finding(probes({}, ['better-sqlite3']), 'mounting'), { state: 'problem' });
  for (const state of ['denied', 'foreign', 'open-to-group', 'nowhere'] as const) {
    const given = probes({ cache: { directory: '/c', state, free: 2 ** 33 } });
    t.notOk(diagnose(given).canMount, state);
    t.match(finding(given, 'cache'), { state: 'problem', mend: /./ }, state);
  }
  const failure = { message: 'EPERM', mend: undefined };
  const trials = { kernel: failure, 'fuse-native': failure };
  const refused = probes({ mayMount: true, uid: 0, trials });
  t.same(diagnose(refused).drivers, { kernel: false, 'fuse-native': false });
  t.match(finding(refused, 'trial'), { state: 'problem', message: /EPERM/ });
  const one = probes({ trials: { kernel: failure } });
  t.ok(diagnose(one).canMount, 'the other driver works');
  t.match(finding(one, 'trial'), { state: 'note', message: /kernel.*EPERM/ });
  const database = { message: 'locking protocol', mend: undefined };
  const place = { directory: '/d', state: 'usable', free: 2 ** 33, database } as const;
  for (const given of [probes({ cache: place }), probes({ state: place })]) {
    t.notOk(diagnose(given).canMount, 'no database, no mount');
    t.ok(diagnose(given).findings.some(({ message }) => message.includes('locking protocol')));
  }
  t.end();
});
