import { nestingMax } from './bounds.js';

/** The value of a variable; undefined where it is none that counts. */
export type NumberOf = (name: string) => bigint | undefined;

/** In one expression. */
const tokensMax = 200;

/** Signs with two operands, those that bind least first. */
const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<=', '>=', '<', '>'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

const tokenForm =
  /\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|\|\||&&|<<|>>|[=!<>]=|[-+*/%<>|^&!~?:()])/y;

/** The value of `$((…))`, in 64 bits; undefined for what is no expression, or divides by 0. */
export function evaluateArithmetic(text: string, numberOf: NumberOf): bigint | undefined {
  const tokens: string[] = [];
  tokenForm.lastIndex = 0;
  const trimmed = text.trim();
  // Nothing is 0, as in sh.
  if (trimmed === '') return 0n;
  for (let match = tokenForm.exec(trimmed); match !== null; match = tokenForm.exec(trimmed)) {
    tokens.push(match[1] ?? '');
    if (tokens.length > tokensMax) return undefined;
    if (tokenForm.lastIndex === trimmed.length) return evaluateTokens(tokens, numberOf);
  }
  return undefined;
}

class NoExpression extends Error {}

function evaluateTokens(tokens: readonly string[], numberOf: NumberOf): bigint | undefined {
  let at = 0;
  let depth = 0;
  const next = (): string => tokens[at++] ?? '';
  const takes = (token: string): boolean => {
    if (tokens[at] !== token) return false;
    at += 1;
    return true;
  };

  const conditional = (): bigint => {
    const condition = binary(0);
    if (!takes('?')) return condition;
    const [yes, no] = [conditional(), takes(':') ? conditional() : fail()];
    return condition !== 0n ? yes : no;
  };
  const binary = (level: number): bigint => {
    const signs = levels[level];
    if (signs === undefined) return unary();
    let left = binary(level + 1);
    for (let sign = tokens[at]; sign !== undefined && signs.includes(sign); sign = tokens[at]) {
      at += 1;
      left = BigInt.asIntN(64, applySign(sign, left, binary(level + 1)));
    }
    return left;
  };
  const unary = (): bigint => {
    depth += 1;
    if (depth > nestingMax) fail();
    try {
      const token = next();
      if (token === '-') return BigInt.asIntN(64, -unary());
      if (token === '+') return unary();
      if (token === '!') return unary() === 0n ? 1n : 0n;
      if (token === '~') return ~unary();
      if (token === '(') {
        const value = conditional();
        return takes(')') ? value : fail();
      }
      if (/^\d/.test(token)) return numberIn(token) ?? fail();
      return /^\w/.test(token) ? (numberOf(token) ?? fail()) : fail();
    } finally {
      depth -= 1;
    }
  };
  try {
    const value = conditional();
    return at === tokens.length ? value : undefined;
  } catch (thrown) {
    if (thrown instanceof NoExpression) return undefined;
    throw thrown;
  }
}

function fail(): never {
  throw new NoExpression();
}

/** A number as sh writes it: decimal, or with 0 or 0x in front. */
export function numberIn(text: string): bigint | undefined {
  const sign = text.startsWith('-') ? -1n : 1n;
  const digits = text.replace(/^[-+]/, '');
  if (digits.length > 30) return undefined;
  if (/^0[xX][0-9a-fA-F]+$/.test(digits) || /^(0|[1-9]\d*)$/.test(digits))
    return BigInt.asIntN(64, sign * BigInt(digits));
  return /^0[0-7]+$/.test(digits) ? sign * BigInt(`0o${digits.slice(1)}`) : undefined;
}

function applySign(sign: string, left: bigint, right: bigint): bigint {
  const truth = (value: boolean): bigint => (value ? 1n : 0n);
  switch (sign) {
    case '||':
      return truth(left !== 0n || right !== 0n);
    case '&&':
      return truth(left !== 0n && right !== 0n);
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '&':
      return left & right;
    case '==':
      return truth(left === right);
    case '!=':
      return truth(left !== right);
    case '<=':
      return truth(left <= right);
    case '>=':
      return truth(left >= right);
    case '<':
      return truth(left < right);
    case '>':
      return truth(left > right);
    case '<<':
      return right >= 0n && right < 64n ? left << right : fail();
    case '>>':
      return right >= 0n && right < 64n ? left >> right : fail();
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return right === 0n ? fail() : left / right;
    case '%':
      return right === 0n ? fail() : left % right;
    default:
      return fail();
  }
}
