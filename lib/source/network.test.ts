import t from 'tap';
import { planNetwork } from './network.js';
import { timerMsMax } from './wait.js';

const source = 'http://server.example.org/cvmfs/sw.example.org';

t.test('a time that no timer can have is the longest that one can', (t) => {
  const seconds = 9_999_999;
  const data = { timeout: seconds * 1000, timeoutDirect: seconds * 1000 };
  const { options } = planNetwork(source, data, {});
  for (const times of [options, options.proxied ?? {}]) {
    const { connectTimeout = Infinity, headersTimeout, lowSpeedTime } = times;
    t.ok(2 * connectTimeout <= timerMsMax, 'also twice, as through a proxy');
    t.same([headersTimeout, lowSpeedTime], [connectTimeout, connectTimeout]);
    t.ok(connectTimeout > 10 * 24 * 3600 * 1000);
  }
  t.end();
});

t.test('times and the least rate are those that are given', (t) => {
  const data = { timeout: 3000, lowSpeedLimit: 10 };
  const { options } = planNetwork(source, data, {});
  const times = {
    connectTimeout: 3000,
    headersTimeout: 3000,
    lowSpeedTime: 3000,
    lowSpeedBytes: 30,
  };
  t.match(options, times);
  t.same(options.proxied, times);
  t.same(planNetwork(source, {}, {}).options.headersTimeout, undefined);
  t.end();
});
