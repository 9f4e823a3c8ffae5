import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { file, makeRepository } from '../../publish/write-repository.js';
import { startBadServer } from '../../testing/servers/bad-server.js';
import { probeSite } from './check-site.js';

void t.test('servers that do not answer are found, with the line that names them', async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-probe-site-'));
  const made = makeRepository({ revisions: [{ tree: { file: file('x') } }] });
  const servers = [
    await startBadServer(made.files, made.fqrn),
    await startBadServer(made.files, made.fqrn),
  ];
  t.teardown(async () => {
    for (const one of servers) await one.close();
    rmSync(work, { recursive: true, force: true });
  });
  const config = join(work, 'etc');
  mkdirSync(join(config, 'config.d'), { recursive: true });
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const urls = servers.map(({ url }) => url).join(';');
  writeFileSync(
    join(config, 'default.local'),
    `CVMFS_REPOSITORIES=${made.fqrn}\nCVMFS_HTTP_PROXY=DIRECT\nCVMFS_PUBLIC_KEY=${join(work, 'key.pub')}\n`,
  );
  writeFileSync(join(config, 'config.d', `${made.fqrn}.conf`), `CVMFS_SERVER_URL='${urls}'\n`);
  const options = { source: '', config, cache: join(work, 'cache') };
  const environment = { variables: {}, now: () => new Date('2030-06-01T00:00:00Z') };
  const found = () => probeSite(made.fqrn, options, environment);
  t.same(await found(), [], 'all is well');
  servers[1]?.behave(/./, 'error');
  t.match(await found(), [
    {
      severity: 'warning',
      origin: { file: /example.org.conf$/, line: 1 },
      text: `${servers[1]?.url ?? ''} through DIRECT`,
    },
  ]);
  servers[0]?.behave('.cvmfspublished', 'html');
  t.match(await found(), [{ severity: 'error' }, { severity: 'error' }], 'none of them will do');
  t.equal((await probeSite(undefined, options, environment)).length, 2, 'each that is configured');
});
