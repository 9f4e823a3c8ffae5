import t from 'tap';
import { userAllowOther } from './fuse-conf.js';

void t.test('user_allow_other counts only as a line of its own', (t) => {
  t.ok(userAllowOther('# text\nuser_allow_other\n'));
  t.ok(userAllowOther('mount_max = 5\n  user_allow_other  '));
  t.notOk(userAllowOther('#user_allow_other\n'));
  t.notOk(userAllowOther('user_allow_other_not\n'));
  t.notOk(userAllowOther(''));
  t.end();
});
