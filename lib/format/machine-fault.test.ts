import t from 'tap';
import { asPinfsError, isMachineFault, machineFault, PinfsError } from './errors.js';

t.test('what this machine does not give has a name, wherever it comes up', (t) => {
  const withCode = (code: string, message = code): Error =>
    Object.assign(new Error(message), { code });
  const faults = [
    ['FILES_EXHAUSTED', withCode('EMFILE'), /ulimit -n/],
    ['FILES_EXHAUSTED', withCode('ENFILE'), /fs\.file-max/],
    ['MEMORY_LIMITED', withCode('ENOMEM'), /ulimit -v/],
    ['MEMORY_LIMITED', new RangeError('WebAssembly.Instance(): Out of memory'), /NODE_OPTIONS/],
    ['MEMORY_LIMITED', new RangeError('Array buffer allocation failed'), /ulimit -v/],
    ['MODULE_UNUSABLE', withCode('ERR_DLOPEN_FAILED', 'x.node: wrong ELF class'), /npm rebuild \(/],
    [
      'MODULE_UNUSABLE',
      withCode(
        'ERR_DLOPEN_FAILED',
        "The module '/a/node_modules/better-sqlite3/b.node'\nwas compiled",
      ),
      /npm rebuild better-sqlite3/,
    ],
    [
      'MODULE_UNUSABLE',
      withCode('ERR_DLOPEN_FAILED', 'libfuse.so.2: cannot open shared object file: No such file'),
      /package that has libfuse\.so\.2/,
    ],
    [
      'FILES_EXHAUSTED',
      withCode('ERR_DLOPEN_FAILED', 'a.node: cannot open shared object file: Too many open files'),
      /ulimit -n/,
    ],
    [
      'MEMORY_LIMITED',
      withCode('ERR_DLOPEN_FAILED', 'a.node: failed to map segment from shared object'),
      /ulimit -v/,
    ],
    ['MODULE_UNUSABLE', withCode('ERR_MODULE_NOT_FOUND', "Cannot find package 'koffi'"), /npm ci/],
    ['MODULE_UNUSABLE', new Error('Could not locate the bindings file. Tried:\n a\n b'), /doctor/],
  ] as const;
  for (const [code, thrown, advice] of faults) {
    t.match(asPinfsError(thrown), { code, exit: 1, advice, cause: thrown });
    t.notMatch(asPinfsError(thrown).message, /\n/);
    t.ok(isMachineFault(asPinfsError(thrown)));
  }
  for (const other of [withCode('ECONNREFUSED'), new Error('memory of old'), 'EMFILE', undefined]) {
    t.equal(machineFault(other), undefined);
  }
  t.notOk(isMachineFault(new PinfsError('SOURCE_UNREACHABLE', '')));
  t.end();
});
