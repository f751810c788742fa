/** Markdown tables, aligned so that they read well in a terminal too. */

export interface TableColumn {
  readonly title: string;
  readonly align: 'left' | 'right';
}

function pad(text: string, width: number, align: TableColumn['align']): string {
  return align === 'left' ? text.padEnd(width) : text.padStart(width);
}

/** Renders rows of cells under `columns`; a missing cell is empty. Ends without a newline. */
export function markdownTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columns.map(({ title }, at) =>
    Math.max(3, title.length, ...rows.map((row) => (row[at] ?? '').length)),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = columns.map(({ align }, at) => {
    const dashes = '-'.repeat((widths[at] ?? 3) - 1);
    return align === 'left' ? `-${dashes}` : `${dashes}:`;
  });
  const cellsOf = (row: readonly string[]): string[] =>
    columns.map(({ align }, at) => pad(row[at] ?? '', widths[at] ?? 3, align));
  return [
    line(cellsOf(columns.map(({ title }) => title))),
    line(rule),
    ...rows.map((row) => line(cellsOf(row))),
  ].join('\n');
}
