import { printableText } from '../../format/bytes.js';
import type { TrustStep, Verdict } from './verdict.js';

/**
 * A verdict for people, line by line, the status first; with `steps` those of the chain too. Nothing in it can write
 * to a terminal.
 */
export function verdictLines(verdict: Verdict, { steps }: { readonly steps: boolean }): string[] {
  const { key, whitelist } = verdict;
  const rows: (readonly [string, string | undefined])[] = [
    ['trust', `${verdict.status}: ${verdict.summary}`],
    ['repository', verdict.repository],
    ['root hash', verdict.rootHash],
    ['revision', verdict.revision?.toString()],
    ['published', verdict.published],
    ['tag', verdict.tag],
    ['key', key && `${key.name}${key.shipped ? ' (shipped key)' : ''}, SHA-256 ${key.sha256}`],
    ['certificate', verdict.fingerprint],
    ['whitelist', whitelist && `from ${whitelist.created ?? '?'} until ${whitelist.expires}`],
    ['attested by', verdict.signer],
    ['judged as of', verdict.judgedAt + (verdict.trustAtGiven ? ' (as was asked for)' : '')],
    ['hash', verdict.hashStrength],
  ];
  const width = Math.max(...rows.map(([label]) => label.length)) + 2;
  const lines = rows.flatMap(([label, value]) =>
    value === undefined ? [] : [`${`${label}:`.padEnd(width)}${printableText(value)}`],
  );
  // What can't be had is told once, by the first line: it is no finding of a step.
  const all = steps ? [...lines, ...stepLines(verdict)] : lines;
  if (verdict.status === 'unjudged') return all;
  return [
    ...all,
    ...verdict.reasons.map(({ code, message }) => `reason: ${code}: ${printableText(message)}`),
  ];
}

/** The chain of trust, step by step. */
export function stepLines({ status, steps }: Verdict): string[] {
  return steps.map(status === 'unjudged' ? unjudgedLine : stepLine);
}

function unjudgedLine(step: TrustStep): string {
  if (step.outcome !== 'failed') return stepLine(step);
  return stepLine({ ...step, outcome: 'not-checked', code: undefined, detail: "can't be had" });
}

const marks: Record<TrustStep['outcome'], string> = {
  passed: 'ok  ',
  failed: 'FAIL',
  'not-checked': '-   ',
};

function stepLine(step: TrustStep): string {
  const code = step.code === undefined ? '' : `${step.code}: `;
  return `  ${marks[step.outcome]} ${step.step.padEnd(20)} ${code}${printableText(step.detail)}`;
}
