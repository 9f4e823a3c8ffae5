/** Words of the manual (see topics.ts) for a terminal of that many columns. */
export function plainText(text: string, columns: number): string {
  const width = Math.max(40, Math.min(columns, 100));
  return textBlocks(text)
    .map((block) => {
      if (block.kind === 'literal') return block.text;
      const [first, rest] = block.kind === 'point' ? ['- ', '  '] : ['', ''];
      return wrapped(plain(block.text), width - first.length)
        .map((line, index) => `${index === 0 ? first : rest}${line}`)
        .join('\n');
    })
    .reduce(joined, '');
}

/** Points of a list stand close together. */
function joined(before: string, block: string): string {
  if (before === '') return block;
  const isList = block.startsWith('- ') && /(^|\n)- [^\n]*(\n {2}[^\n]*)*$/.test(before);
  return `${before}${isList ? '\n' : '\n\n'}${block}`;
}

export interface TextBlock {
  readonly kind: 'paragraph' | 'point' | 'literal';
  readonly text: string;
}

/** The parts of a text: paragraphs in one line, points of lists, and what stands as it is. */
export function textBlocks(text: string): TextBlock[] {
  return text
    .replace(/^\n+|\s+$/g, '')
    .split(/\n{2,}/)
    .flatMap((part): TextBlock[] => {
      if (part.startsWith('    ')) return [{ kind: 'literal', text: part }];
      const points = part.split(/\n(?=- )/);
      return points.map((point) =>
        point.startsWith('- ')
          ? { kind: 'point', text: point.slice(2).replaceAll('\n', ' ') }
          : { kind: 'paragraph', text: point.replaceAll('\n', ' ') },
      );
    });
}

function plain(text: string): string {
  return text
    .replace(/`([^`]*)`/g, '$1')
    .replace(/<([^>]*)>/g, '$1')
    .replace(/[\u201c\u201d]/g, '"');
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
