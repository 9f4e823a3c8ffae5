import t from 'tap';
import { asPinfsError, machineFault } from './errors.js';

t.test('what this machine does not give has a name, wherever it comes up', (t) => {
  const withCode = (code: string, message = code): Error =>
    Object.assign(new Error(message), { code });
  const faults = [
    ['FILES_EXHAUSTED', withCode('EMFILE'), /ulimit -n/],
    ['FILES_EXHAUSTED', withCode('ENFILE'), /fs\.file-max/],
    ['MEMORY_LIMITED', withCode('ENOMEM'), /ulimit -v/],
    ['MEMORY_LIMITED', new RangeError('WebAssembly.Instance(): Out of memory'), /NODE_OPTIONS/],
    ['MEMORY_LIMITED', new RangeError('Array buffer allocation failed'), /ulimit -v/],
    ['MODULE_UNUSABLE', withCode('ERR_DLOPEN_FAILED', 'x.node: wrong ELF class'), /npm rebuild/],
    ['MODULE_UNUSABLE', new Error('Could not locate the bindings file. Tried:\n a\n b'), /doctor/],
  ] as const;
  for (const [code, thrown, advice] of faults) {
    t.match(asPinfsError(thrown), { code, exit: 1, advice, cause: thrown });
    t.notMatch(asPinfsError(thrown).message, /\n/);
  }
  for (const other of [withCode('ECONNREFUSED'), new Error('memory of old'), 'EMFILE', undefined]) {
    t.equal(machineFault(other), undefined);
  }
  t.end();
});
