import { markdownTable } from '../lib/markdown.ts';

/** One row: what was measured, what it must be (issue 5), and what was seen. */
export interface Figure {
  readonly what: string;
  readonly must: string;
  readonly seen: string;
  readonly isReached: boolean;
  /** What `seen` was written from, by name; units are in the names. */
  readonly values: Readonly<Record<string, number>>;
}

/** A row for a measurement that came to no end. */
export function failed(what: string, error: unknown): Figure {
  const [text = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return { what, must: '', seen: `failed: ${text}`, isReached: false, values: {} };
}

export function renderFigures(figures: readonly Figure[]): string {
  const columns = ['what', 'must', 'seen', ''].map((title) => ({ title, align: 'left' as const }));
  return markdownTable(
    columns,
    figures.map(({ what, must, seen, isReached }) => [
      ...[what, must, seen, isReached ? 'reached' : 'MISSED'],
    ]),
  );
}
