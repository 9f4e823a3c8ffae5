import { compressions } from '../format/compression.js';
import { objectNameOf, objectText, hashFromDigest } from '../format/hash.js';
import { digestBytes, digestForms, traceObjectKinds, type ObjectTable } from './trace.js';

/** Object names of traces, as text and as bytes. */

const foreign = /^foreign:([0-9a-f]{16})$/;
const plainSuffix = compressions.none.keySuffix;
const formShift = { kind: 2, plain: 5 };

/** Where the digits of an object's name stand, and the byte before its digest. */
export interface ObjectTextParts {
  readonly shape: number;
  readonly from: number;
  readonly end: number;
}

// Names differ in what follows their digits, of which there are few: each is looked at once.
const shapes = new Map<string, number>();
const digits = 2 * digestBytes;

/** The parts of an object's name; undefined for a text that names none. Its digits are not looked at. */
export function partsOfObjectText(text: string): ObjectTextParts | undefined {
  if (text.startsWith('foreign:')) {
    if (!foreign.test(text)) return undefined;
    return { shape: digestForms.indexOf('foreign'), from: 8, end: 24 };
  }
  const tail = text.length === digits ? '' : text.slice(digits);
  const known = shapes.get(tail);
  if (known !== undefined) return { shape: known, from: 0, end: digits };
  const shape = shapeOf(text);
  if (shape === undefined) return undefined;
  shapes.set(tail, shape);
  return { shape, from: 0, end: digits };
}

function shapeOf(text: string): number | undefined {
  const isPlain = text.endsWith(plainSuffix);
  const name = objectNameOf(isPlain ? text.slice(0, -plainSuffix.length) : text);
  if (name === undefined) return undefined;
  const form = digestForms.indexOf(name.hash.algorithm);
  const kind = traceObjectKinds.indexOf(name.kind);
  return form | (kind << formShift.kind) | (isPlain ? 1 << formShift.plain : 0);
}

/** The text of an object of a trace, as `Access.object`. */
export function traceObjectText(table: ObjectTable, index: number): string {
  const digest = table.digests.subarray(index * digestBytes, (index + 1) * digestBytes);
  const form = digestForms[table.forms[index] ?? 0] ?? 'foreign';
  if (form === 'foreign') return `foreign:${Buffer.from(digest.subarray(0, 8)).toString('hex')}`;
  const hash = hashFromDigest(form, digest);
  const kind = traceObjectKinds[table.kinds[index] ?? 0];
  if (hash === undefined || kind === undefined) return '';
  return objectText({ hash, kind }) + (table.isPlain[index] === 1 ? plainSuffix : '');
}

/** What the byte before a digest says; undefined for one that says nothing. */
export function partsOfShape(
  shape: number,
): { readonly form: number; readonly kind: number; readonly isPlain: number } | undefined {
  const kind = (shape >> formShift.kind) & 7;
  if (shape >= 1 << (formShift.plain + 1) || kind >= traceObjectKinds.length) return undefined;
  const form = shape & 3;
  // Numbers of others have no kind.
  if (digestForms[form] === 'foreign' && shape !== form) return undefined;
  return { form, kind, isPlain: shape >> formShift.plain };
}
