import { printable, type ByteString } from '../../format/bytes.js';
import type { StoredContent } from '../objects/content.js';
import { makeSlots } from '../objects/slots.js';
import type { InputOptions } from './directory.js';
import { fittingXattrs, type InputEntry } from './entry.js';
import { malformed, type TarMember } from './tar-header.js';
import { readTar } from './tar.js';
import { unpackedBytes } from './unpacked.js';

// A tree of an archive is held in memory until its order is known: some hundred bytes for each entry.
const entriesMax = 2_000_000;
const nameBytesMax = 255;
const pathBytesMax = 4096;
// Larger members are stored one after the other, their chunks side by side; of smaller ones so many.
const sideBySideBytesMax = 2 ** 20;
const sideBySideMax = 32;

type Attributes = Pick<
  InputEntry,
  'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNs' | 'size' | 'rdev' | 'target' | 'xattrs' | 'leftOut'
>;

/** What is no directory; under as many names as there are hard links. */
interface Leaf {
  readonly kind: 'leaf';
  readonly type: Exclude<InputEntry['type'], 'directory'>;
  readonly attributes: Attributes;
  /** Its first name tells it from others. */
  readonly key: ByteString;
  names: number;
  stored?: StoredContent;
}

interface Folder {
  readonly kind: 'folder';
  attributes: Attributes;
  readonly children: Map<ByteString, Leaf | Folder>;
}

/** The entries of an archive, as `readInput` gives them. */
export async function* archiveEntries(
  from: string,
  options: InputOptions,
): AsyncGenerator<InputEntry> {
  const { writer } = options;
  const root = makeFolder(0);
  const slots = makeSlots(sideBySideMax);
  let failure: { readonly thrown: unknown } | undefined;
  let count = 0;
  for await (const { member, content } of readTar(unpackedBytes(from))) {
    if (failure !== undefined) throw failure.thrown;
    if (++count > entriesMax) throw malformed(`holds more than ${entriesMax} members`);
    const leaf = place(root, member, options);
    if (leaf === undefined) continue;
    if (member.size > sideBySideBytesMax) {
      leaf.stored = await writer.store({ stream: content, size: member.size });
      continue;
    }
    const parts: Buffer[] = [];
    for await (const part of content) parts.push(part);
    const release = await slots.take();
    writer
      .store({ bytes: Buffer.concat(parts) })
      .then((stored) => void (leaf.stored = stored))
      .catch((thrown: unknown) => void (failure ??= { thrown }))
      .finally(release);
  }
  // All have come back when all can be had.
  for (let waiting = 0; waiting < sideBySideMax; waiting++) await slots.take();
  if (failure !== undefined) throw failure.thrown;
  countNames(root);
  yield* entriesOf(root, '');
}

/** A directory of which the archive has no member of its own. */
function makeFolder(mtime: number): Folder {
  const attributes = { mode: 0o755, uid: 0, gid: 0, mtime, mtimeNs: 0, size: 4096, rdev: 0 };
  return { kind: 'folder', attributes, children: new Map() };
}

/** Puts a member into the tree, in place of an earlier one of that name. @returns a file whose content is to be stored */
function place(root: Folder, member: TarMember, options: InputOptions): Leaf | undefined {
  const names = namesOf(member.name);
  const last = names.at(-1);
  if (last === undefined) {
    if (member.type !== 'directory') throw malformed('has a member with no name');
    root.attributes = attributesOf(member, options);
    return undefined;
  }
  let parent = root;
  for (const name of names.slice(0, -1)) {
    let next = parent.children.get(name);
    if (next?.kind === 'leaf')
      throw malformed(`has ${printable(member.name)} below what is no directory`);
    if (next === undefined) parent.children.set(name, (next = makeFolder(member.mtime)));
    parent = next;
  }
  if (member.type === 'directory') {
    const before = parent.children.get(last);
    const into = before?.kind === 'folder' ? before : makeFolder(0);
    into.attributes = attributesOf(member, options);
    parent.children.set(last, into);
    return undefined;
  }
  if (member.type === 'hard-link') {
    parent.children.set(last, linkedTo(root, member));
    return undefined;
  }
  const leaf: Leaf = {
    kind: 'leaf',
    type: member.type,
    attributes: attributesOf(member, options),
    key: names.join('/'),
    names: 0,
  };
  parent.children.set(last, leaf);
  return member.type === 'file' ? leaf : undefined;
}

function linkedTo(root: Folder, member: TarMember): Leaf {
  let found: Leaf | Folder | undefined = root;
  for (const name of namesOf(member.link))
    found = found?.kind === 'folder' ? found.children.get(name) : undefined;
  if (found?.kind === 'leaf') return found;
  throw malformed(`has ${printable(member.name)}, a link to a file that it has not`);
}

function namesOf(path: ByteString): ByteString[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  const isWrong = names.some(
    (name) => name === '..' || name.length > nameBytesMax || name.includes('\0'),
  );
  if (isWrong || path.length > pathBytesMax)
    throw malformed(`has a member whose name can't be: ${printable(path.slice(0, nameBytesMax))}`);
  return names;
}

function attributesOf(member: TarMember, options: InputOptions): Attributes {
  const { type, mode, uid, gid, mtime, mtimeNs, rdev, link } = member;
  const isLink = type === 'symlink';
  if (isLink && (link === '' || link.length >= pathBytesMax || link.includes('\0')))
    throw malformed(`has the link ${printable(member.name)} to what can't be`);
  return {
    mode: isLink ? 0o777 : mode,
    uid,
    gid,
    mtime,
    mtimeNs,
    rdev,
    size: isLink ? link.length : type === 'directory' ? 4096 : member.size,
    ...(isLink ? { target: link } : {}),
    ...(options.xattrs === true ? fittingXattrs(member.xattrs) : {}),
  };
}

function countNames(folder: Folder): void {
  for (const child of folder.children.values()) {
    if (child.kind === 'leaf') child.names++;
    else countNames(child);
  }
}

function* entriesOf(node: Leaf | Folder, path: ByteString): Generator<InputEntry> {
  if (node.kind === 'leaf') {
    const { type, attributes, stored, names, key } = node;
    const link = names > 1 ? { linkKey: key } : {};
    yield { path, type, ...attributes, ...link, ...(stored === undefined ? {} : { stored }) };
    return;
  }
  yield { path, type: 'directory', ...node.attributes };
  const sorted = [...node.children].sort(([one], [other]) => (one < other ? -1 : 1));
  for (const [name, child] of sorted) yield* entriesOf(child, `${path}/${name}`);
}
