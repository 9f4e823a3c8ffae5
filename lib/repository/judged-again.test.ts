import t, { type Test } from 'tap';
import { expiredWhitelist, openBench, type Bench } from '../testing/bench.js';
import {
  file,
  fingerprint,
  makeRepository,
  signWhitelist,
  whitelistLines,
} from '../publish/write-repository.js';
import type { Verdict } from '../trust/verdict/verdict.js';
import { refresh } from './follow.js';

// A head that is judged again and again: what is shown, and what is asked for.

const made = makeRepository({
  ttl: 900,
  revisions: [
    { tree: { file: file('one') }, tags: { v1: 'the first' } },
    { tree: { file: file('two') }, tags: { v2: 'the second' } },
  ],
});
const { fqrn } = made;

const setUp = (t: Test): Promise<Bench> => openBench(t, made);

void t.test('the verdict is that of the last judgement, with its dates', async (t) => {
  const bench = await setUp(t);
  const head = await bench.open();
  const shown = (name: string) => {
    const value = head.filesystem.getxattr(head.tree.root, name);
    return value.kind === 'done' ? value.value.toString() : '';
  };
  const trust = () => JSON.parse(shown('user.pinfs.trust')) as Verdict;
  const { whitelist } = head.verdict;
  const signedAgain = whitelistLines(fqrn, [fingerprint()], '20390101000000');
  bench.files.set('.cvmfswhitelist', signWhitelist(signedAgain, 'sha1'));
  bench.setClock('2030-06-02T00:00:00Z');
  t.equal(await refresh(head), undefined);
  t.not(head.verdict.whitelist?.expires, whitelist?.expires);
  t.match(head.verdict, { judgedAt: /^2030-06-02/, whitelist: { expires: /^2039-01-01/ } });
  t.match(trust(), { judgedAt: /^2030-06-02/, whitelist: { expires: /^2039-01-01/ } });
  t.equal(head.opening.keys.length, 1);

  bench.files.set('.cvmfswhitelist', expiredWhitelist(fqrn));
  t.equal(await refresh(head), undefined);
  t.match(trust(), { status: 'offline', reasons: [{ code: 'WHITELIST_EXPIRED' }] });
  head.opening.headRequests.again = Date.now() + 601_000;
  t.equal(shown('user.expires'), '10', 'minutes until it is asked for again');
});

void t.test('the certificate is cached like every object, and judged as ever', async (t) => {
  const bench = await setUp(t);
  const asked = () => bench.server.count(/X$/);
  const head = await bench.open();
  t.equal(asked(), 1);
  t.equal(await refresh(head), undefined);
  t.equal((await bench.open()).verdict.status, 'verified');
  t.equal((await bench.open('v1')).verdict.status, 'verified');
  t.equal(asked(), 1, 'no other request for it');
  bench.files.set('.cvmfswhitelist', signWhitelist(whitelistLines(fqrn, [])));
  await t.rejects(bench.open(), { code: 'CERTIFICATE_NOT_LISTED' });
  await t.rejects(refresh(head), { code: 'CERTIFICATE_NOT_LISTED' });
  const bad = await setUp(t);
  bad.server.behave(/X$/, 'bit-flipped');
  await t.rejects(bad.open(), { code: 'CERTIFICATE_HASH_MISMATCH' });
  bad.server.reset();
  t.equal((await bad.open()).verdict.status, 'verified', 'nothing wrong was kept');
});
