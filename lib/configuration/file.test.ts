import { join } from 'node:path';
import t from 'tap';
import { configurationBytesMax, valueBytesMax } from './shell/bounds.js';
import type { Surroundings } from './shell/state.js';
import { evaluateFile, type EvaluatedFile } from './file.js';

const path = '/etc/cvmfs/default.local';

/** Files beside the one that is evaluated, by their paths. */
type Beside = Readonly<Record<string, string>>;

function surroundings(beside: Beside): Surroundings {
  return {
    random: () => 7,
    processId: 10,
    hostName: 'wn1',
    userId: 0,
    read: (path) => (beside[path] === undefined ? undefined : Buffer.from(beside[path])),
    look: (path) =>
      path in beside
        ? { kind: 'file', bytes: beside[path]?.length ?? 0, readable: true }
        : undefined,
  };
}

function evaluate(text: string, before: Beside = {}, beside: Beside = {}): EvaluatedFile {
  const variables = new Map(Object.entries(before).map(([name, value]) => [name, { value }]));
  return evaluateFile(path, Buffer.from(text, 'latin1'), variables, surroundings(beside));
}

/** The values of those that are known. */
function values(text: string, before?: Beside, beside?: Beside): Record<string, string> {
  const found = evaluate(text, before, beside).values.filter((one) => one.unknown === undefined);
  return Object.fromEntries(found.map(({ name, value }) => [name, value]));
}

function refused(text: string, beside?: Beside): string[] {
  return evaluate(text, {}, beside).values.flatMap(({ name, unknown }) =>
    unknown === undefined ? [] : [name],
  );
}

t.test('a value is read in every kind of quotes', (t) => {
  const text = String.raw`
A=plain   # with a comment
B="double $A \$A \"q\" \x"
C='single $A "q"'
D=a\ b\$c
E="a"'b'c\
d
F=$'tab\tA\x42\103'
G=$"translated $A"
H=
I=""
  export J=exported
readonly K="read only"
L=http://h/p#fragment
M="a   b	c"
N='x
y'
O=~/cache:~/more
`;
  t.same(values(text, { HOME: '/root' }), {
    A: 'plain',
    B: String.raw`double plain $A "q" \x`,
    C: 'single $A "q"',
    D: 'a b$c',
    E: 'abcd',
    F: 'tab ABC',
    G: 'translated plain',
    H: '',
    I: '',
    J: 'exported',
    K: 'read only',
    L: 'http://h/p#fragment',
    M: 'a b c',
    N: 'x y',
    O: '/root/cache:/root/more',
  });
  t.end();
});

t.test('expansions have their operators', (t) => {
  const text = `
A=set
E=
B=\${A:-no}\${N:-default}\${E:-empty}\${E-kept}\${N-unset}
C="\${N:+x}\${A:+yes}\${E:+no}\${E+there}"
D=\${M:=given}
M="$M"
F=\${A#s}\${A%t}\${#A}
P=http://proxy.site.org:3128
G=\${P##*/}\${P#*://}\${P%:*}\${P%%:*}
H="\${N:-"a b"}\${N:-'q'}"
I=\${N:-'q' "$A"}
J=$((1 + 2 * 3)) 
K="$((RANDOM % 2))$(( $$ % 3 ))"
O="x$A;y"
O="$O;z"
O+=";w"
`;
  t.same(values(text), {
    A: 'set',
    E: '',
    B: 'setdefaultemptyunset',
    C: 'yesthere',
    D: 'given',
    M: 'given',
    F: 'etse3',
    P: 'http://proxy.site.org:3128',
    G: 'proxy.site.org:3128proxy.site.org:3128http://proxy.site.orghttp',
    H: "a b'q'",
    I: 'q set',
    J: '7',
    K: '11',
    O: 'xset;y;z;w',
  });
  t.end();
});

t.test('a branch is taken by its tests', (t) => {
  const taken = (condition: string, before?: Beside, beside?: Beside): boolean =>
    values(`if ${condition}\nthen\n  A=yes\nelse\n  A=no\nfi\n`, before, beside)['A'] === 'yes';
  for (const condition of [
    '[ "x$N" = "x" ]',
    '[ -z "$N" ] || [ "$N" = "http" ]',
    '[ "$N" != "yes" ] && [ "$M" != "custom" ]',
    '[ -z $N ] || [ $N -lt 5 ]',
    '[ ! -f /nowhere ]',
    '! [ -f /nowhere ]',
    '[ "$((RANDOM % 2))" -eq 1 ]',
    '[ a = a -a b = b ]',
    '[ a = b -o -n "x" ]',
    '[ \\( a = b -o b = b \\) -a ! a = b ]',
    'test 010 -eq 10',
    '[ "$N" == "" ] 2>/dev/null',
    ':',
    '{ true; }',
  ])
    t.ok(taken(condition), condition);
  for (const condition of ['[ "" ]', '[ $N -lt 5 ]', '[ 3 -gt 3 ]', '[ -d /etc/cvmfs/f ]', 'false'])
    t.notOk(taken(condition, {}, { '/etc/cvmfs/f': '' }), condition);
  t.ok(taken('[ -f f ] && [ -r ./f ] && [ -e /etc/cvmfs/f ]', {}, { '/etc/cvmfs/f': 'x' }));
  t.ok(taken('[ $N -lt 524288 ]', { N: '131072' }));
  t.same(
    values(
      `case "$N" in
  a|b*) A=first ;;
  (*.site.org) A=second;;
  *) A=other
esac
A="$A"
if [ "$A" = first ]; then B=1; elif [ "$A" = second ]
then
  B=2
else B=3
fi
B=$B`,
      { N: 'wn.site.org' },
    ),
    { A: 'second', B: '2' },
  );
  t.end();
});

t.test('what stands in a branch is known by its name, and by the value it had', (t) => {
  const text = 'if [ "$A" = on ]; then\n  B=new\n  C=new\nfi\n';
  t.same(values(text, { B: 'old' }), { B: 'old', C: '' });
  t.end();
});

t.test('a file is sourced, and only what this one names is read', (t) => {
  const beside = { '/etc/cvmfs/common.conf': 'A="$A;2"\nB=b\n' };
  for (const word of ['.', 'source']) {
    t.same(values(`A=1\n${word} ./common.conf\nA="$A"\n`, {}, beside), { A: '1;2' });
    t.same(values(`A=1\n${word} ../$D/common.conf\n`, { D: 'cvmfs' }, beside), { A: '1;2' });
  }
  const [found] = evaluate('A=1\n. ./common.conf\n', {}, beside).values;
  t.match(found, { file: join('/etc/cvmfs/common.conf'), line: 1 }, 'and where it was set');
  t.same(refused('A=1\n. ./gone.conf\nB=2\n'), ['A', 'B'], 'one that is not there ends this one');
  t.same(refused('A=1\n. common.conf\n', beside), [], 'where it lies has to be said');
  const itself = { '/etc/cvmfs/a': '. ./a\n' };
  t.match(evaluate('. ./a\n', {}, itself).problems, [{ text: /10 deep/ }]);
  t.end();
});

t.test('what is not understood counts as not set, and so does what depends on it', (t) => {
  t.same(refused('A=$(hostname)\nB=`ls`\nC="$A x"\nD=d\n'), ['A', 'B', 'C']);
  t.same(refused('if grep -q x /etc/os-release; then A=1; else\nA=2\nB=3\nfi\nC=4\n'), ['A', 'B']);
  t.same(refused('if [ -f /nowhere ] && grep -q x /etc/os-release; then\nA=1\nfi\n'), []);
  t.same(refused('for a in b c; do\nA=$a\ndone\nB=1\n'), ['A']);
  t.same(refused('A="$((echo a;ls /cvmfs)|sort -u|paste -sd ,)"\nB=1\n'), ['A']);
  t.same(refused('A=(a b)\nB=1\n'), ['A']);
  t.same(refused('A=${B/x/y}\nB=1\n'), ['A']);
  t.same(refused('f() {\nA=1\n}\nB=1\n'), ['A']);
  t.same(refused('(\nA=1\n)\nB=1\n'), ['A']);
  t.same(refused('A=$BASH_VERSION\nB=$SECONDS\nC=$1\nD=$?\nE=1\n'), ['A', 'B', 'C', 'D']);
  t.same(refused('readonly A=1\nA=2\n'), ['A'], 'a read-only one is not changed');
  t.same(refused('A=-n\nB=*.conf\nC=http://h/?x\n'), ['A', 'B'], 'what echo would change');
  t.end();
});

t.test('a file that can not be read to its end has no values', (t) => {
  for (const text of [
    'A=1\nB=${C?}\n',
    'readonly A=1\nA=2\nB=1\n',
    'A=1\nB="open\nC=1\n',
    'A=1\nif [ 1 ]; then\nB=1\n',
    'A=1\nfi\n',
    'A=1\nexit 0\n',
  ]) {
    t.ok(refused(text).includes('A'), text);
    t.same(values(text), {});
  }
  t.match(evaluate('A=1\n\nB="open\n').problems, [
    { line: 3, severity: 'error', text: /never closed/ },
  ]);
  t.match(evaluate('A=1\0\n').problems, [{ text: /NUL/ }]);
  t.end();
});

t.test('a problem says where it is and what to write', (t) => {
  const { problems } = evaluate('# a\n\nA=$(hostname)\n');
  t.match(problems, [
    {
      file: path,
      line: 3,
      text: /^A: .*no command is run/,
      mend: /NAME="value"/,
      severity: 'error',
    },
  ]);
  t.match(evaluate('A=DIRECT\r\nB=1\r\n').problems, [{ text: /carriage return/, mend: /sed -i/ }]);
  t.match(evaluate('if true; then CVMFS_A=1; fi\n').problems, [
    { severity: 'warning', text: /^CVMFS_A is set where the reference does not see it/ },
  ]);
  t.match(evaluate('if [ $A = b ]; then\nB=1\nfi\n').problems, [
    { severity: 'warning', text: /no test '=' of one value|between two/ },
  ]);
  t.end();
});

t.test('a hostile file is bounded', (t) => {
  const doubled = `A=x\n${'A=$A$A\n'.repeat(40)}`;
  t.match(evaluate(doubled).problems, [{ text: new RegExp(`more than ${valueBytesMax} bytes`) }]);
  const long = 'x'.repeat(60_000);
  const much = `A=${long}\n${'B=$A\n'.repeat(400)}`;
  t.match(evaluate(much).problems, [{ text: /in all/ }]);
  for (const deep of [
    `A=${'${A:-'.repeat(100_000)}`,
    `A=${'$(('.repeat(50_000)}`,
    `A=${'"${A:-'.repeat(50_000)}`,
    'if true; then\n'.repeat(50_000),
    '! '.repeat(100_000),
    '{ '.repeat(100_000),
    '( '.repeat(100_000),
    `A=$((${'('.repeat(100_000)}1${')'.repeat(100_000)}))`,
    `A=$((${'-'.repeat(100_000)}1))`,
    `[ ${'! '.repeat(50_000)} x ]`,
    `case ${'x'.repeat(50_000)} in ${'*x'.repeat(120)}y) A=1 ;; esac`,
  ])
    t.ok(evaluate(deep).problems.length <= 2, deep.slice(0, 20));
  t.match(evaluate(`A=${'x'.repeat(configurationBytesMax)}`).problems, [{ text: /larger than/ }]);
  const large = 'x'.repeat(60_000);
  for (const many of [
    'x\n'.repeat(500_000),
    'A=$(x)\n'.repeat(100_000),
    `A=1${' && true'.repeat(100_000)}`,
    `A=${large}\n${`B=\${A%%${'*x'.repeat(100)}y}\n`.repeat(4000)}`,
    `A=${large}\n${`case $A in ${'*x'.repeat(100)}y) ;; esac\n`.repeat(3000)}`,
    'A=1 '.repeat(200_000),
  ])
    t.ok(evaluate(many).problems.length <= 202, many.slice(0, 20));
  const crossing = { '/etc/cvmfs/a': '. ./a; . ./a\n' };
  t.ok(evaluate('. ./a\n', {}, crossing).problems.length > 0, 'files that source themselves often');
  t.end();
});
