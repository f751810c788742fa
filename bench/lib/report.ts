/** The result as Markdown: one table a section, a row a contender. */
import type { Panel } from './plot.ts';
import { markdownTable, type TableColumn } from './markdown.ts';
import {
  BASE_CONTENDER,
  FOREIGN_LIMIT,
  figureOf,
  type Absence,
  type Column,
  type Figure,
  type Sample,
} from './result.ts';

/** Columns that belong side by side. */
export interface Section {
  readonly title: string;
  readonly columns: readonly Column[];
}

const NOTHING = '–';

/** `13.5 (12.9–14.1)` for a headline, `13.5` otherwise; a star marks a disturbed figure. */
export function formatFigure(figure: Figure | undefined, column: Column): string {
  if (figure === undefined) return NOTHING;
  const number = (value: number): string => value.toFixed(column.digits);
  const star = figure.isDisturbed ? '*' : '';
  return column.isHeadline && figure.count > 1
    ? `${number(figure.median)}${star} (${number(figure.min)}–${number(figure.max)})`
    : `${number(figure.median)}${star}`;
}

export function formatRatio(ratio: number | undefined): string {
  return ratio === undefined ? NOTHING : ratio.toFixed(2);
}

function headings(columns: readonly Column[]): TableColumn[] {
  return columns.flatMap(({ title, isHeadline }) => [
    { title, align: 'right' as const },
    ...(isHeadline ? [{ title: 'ratio', align: 'right' as const }] : []),
  ]);
}

function cells(
  samples: readonly Sample[],
  contender: string,
  columns: readonly Column[],
  base: string,
): string[] {
  return columns.flatMap((column) => {
    const figure = figureOf(samples, contender, column.key, base);
    const value = formatFigure(figure, column);
    return column.isHeadline ? [value, formatRatio(figure?.ratio)] : [value];
  });
}

function sectionTable(
  section: Section,
  contenders: readonly string[],
  samples: readonly Sample[],
  base: string,
): string {
  const columns = [{ title: 'contender', align: 'left' as const }, ...headings(section.columns)];
  const rows = contenders.map((name) => [name, ...cells(samples, name, section.columns, base)]);
  return `### ${section.title}\n\n${markdownTable(columns, rows)}`;
}

function footnotes(
  samples: readonly Sample[],
  absences: readonly Absence[],
  base: string,
): string[] {
  const notes = [];
  if (samples.some(({ contender }) => contender === base)) {
    notes.push(`ratio: to ${base} in the same round, median over the rounds.`);
  }
  if (samples.some(({ foreignShare }) => foreignShare > FOREIGN_LIMIT)) {
    const share = `${FOREIGN_LIMIT * 100} %`;
    notes.push(`\\* other programs used over ${share} of the machine during a sample.`);
  }
  for (const { contender, probe, round, failure } of samples) {
    if (failure !== undefined) {
      notes.push(`**FAILED** ${contender}, ${probe}, round ${round}: ${failure}`);
    }
  }
  for (const { contender, reason } of absences) {
    notes.push(`**LEFT OUT** ${contender}: ${reason}`);
  }
  return notes;
}

/** Sections without a single value are left out. Ends with a newline. */
export function renderReport(
  sections: readonly Section[],
  contenders: readonly string[],
  samples: readonly Sample[],
  absences: readonly Absence[],
  base = BASE_CONTENDER,
): string {
  const measured = new Set(samples.flatMap(({ values }) => Object.keys(values)));
  const tables = sections
    .map(({ title, columns }) => ({
      title,
      columns: columns.filter(({ key }) => measured.has(key)),
    }))
    .filter(({ columns }) => columns.length > 0)
    .map((section) => sectionTable(section, contenders, samples, base));
  return `${[...tables, ...footnotes(samples, absences, base)].join('\n\n')}\n`;
}

/** Ours are drawn in the accent colour. */
const OUR_PREFIX = 'weft-';

/** A panel of the plot for each headline column that has figures. */
export function panelsOf(
  columns: readonly Column[],
  contenders: readonly string[],
  samples: readonly Sample[],
): Panel[] {
  return columns
    .filter(({ isHeadline }) => isHeadline)
    .map((column) => ({
      title: column.title,
      note: `${column.better} is better`,
      digits: column.digits,
      bars: contenders.flatMap((label) => {
        const figure = figureOf(samples, label, column.key);
        if (figure === undefined) return [];
        const { median: value, min, max } = figure;
        return [{ label, value, min, max, isOurs: label.startsWith(OUR_PREFIX) }];
      }),
    }));
}
