import { writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import vm from 'node:vm';

// Loaded before a bundle (`node --import`) where its compiled code is to be kept: as the process or the thread
// ends, V8 knows which functions a start needs, and has compiled them.

const { Script } = vm;
vm.Script = class extends Script {
  constructor(code: string, options?: vm.ScriptOptions) {
    super(code, options);
    const filename = options?.filename;
    if (filename?.endsWith('.cjs') !== true) return;
    process.on('exit', () => {
      writeFileSync(`${filename}.code`, this.createCachedData());
    });
  }
};
syncBuiltinESMExports();
