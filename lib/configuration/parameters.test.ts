import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { genuine } from '../testing/genuine.js';
import { nearestName } from './nearest.js';
import { parameterOf, parameters } from './parameters.js';
import { nearestParameter } from './show.js';
import { isOff, isOn, numberOf } from './values.js';

const description = join(genuine(), '..', 'cvmfs-format.md');
const skipped = existsSync(description)
  ? {}
  : { skip: "the format's description (../shared/cvmfs-format.md) is not beside this checkout" };

t.test('every parameter of a reader or a mount has its row', skipped, (t) => {
  const text = readFileSync(description, 'utf8');
  const rows = text.slice(text.indexOf('### 10.4')).split('\n');
  const names = rows
    .flatMap((row) => {
      const [, name = '', use = ''] = row.split('|').map((cell) => cell.trim());
      return ['R', 'F'].includes(use) ? [...name.matchAll(/`(CVMFS_[A-Z0-9_<>i*]+)`/g)] : [];
    })
    .map(([, name = '']) => name.replace('<i>', 'x').replace('*', 'URL'));
  t.ok(names.length > 100);
  t.same(
    names.filter((name) => parameterOf(name) === undefined),
    [],
  );
  t.end();
});

t.test('what is not honoured says how or why', (t) => {
  for (const { name, handling, note } of parameters)
    if (handling === 'otherwise' || handling === 'unsupported') t.not(note, '', name);
  t.equal(new Set(parameters.map(({ name }) => name)).size, parameters.length);
  t.end();
});

t.test('a typing error is answered with the nearest name', (t) => {
  t.equal(nearestParameter('CVMFS_HTTP_PROXIES'), 'CVMFS_HTTP_PROXY');
  t.equal(nearestParameter('CVMFS_SERVER_ULR'), 'CVMFS_SERVER_URL');
  t.equal(nearestParameter('CVMFS_QUOTALIMIT'), 'CVMFS_QUOTA_LIMIT');
  t.equal(nearestParameter('CVMFS_SOMETHING_ELSE'), undefined);
  t.equal(nearestName('cms.cern.hc', ['atlas.cern.ch', 'cms.cern.ch']), 'cms.cern.ch');
  t.equal(nearestName('ab', ['cd']), undefined);
  t.end();
});

t.test('booleans and numbers are what the reference takes them for', (t) => {
  for (const text of ['yes', 'ON', '1', 'True']) t.ok(isOn(text) && !isOff(text), text);
  for (const text of ['no', 'Off', '0', 'FALSE']) t.ok(isOff(text) && !isOn(text), text);
  for (const text of ['', 'y', 'yes ', '2']) t.notOk(isOn(text) || isOff(text), text);
  t.equal(numberOf('4000MB'), 4000);
  t.equal(numberOf('lots'), 0);
  t.equal(numberOf('-1'), -1);
  t.end();
});
