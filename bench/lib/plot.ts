/**
 * A bar chart as SVG: a panel a metric, a bar a contender, a whisker for the spread. Horizontal bars,
 * because contenders have long names. Nothing but strings: no layout engine, no fonts to embed.
 */

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Drawn in the accent colour. */
  readonly isOurs: boolean;
}

export interface Panel {
  readonly title: string;
  /** Said under the title, e.g. `higher is better`. */
  readonly note: string;
  readonly digits: number;
  readonly bars: readonly Bar[];
}

const PANEL_WIDTH = 460;
const PANELS_PER_ROW = 2;
const MARGIN = 24;
const HEAD = 44;
const SUBTITLE_PITCH = 16;
const LABEL_WIDTH = 132;
const VALUE_WIDTH = 64;
const BAR_PITCH = 26;
const BAR_HEIGHT = 16;
const PANEL_HEAD = 46;
const PANEL_FOOT = 18;
const WHISKER = 3;

const INK = '#1f2933';
const MUTED = '#616e7c';
const OTHERS = '#9fb3c8';
const OURS = '#d9822b';

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escapeXml(content)}</text>`;
}

/** Coordinates to a tenth of a pixel keep the file small and diffs quiet. */
function px(value: number): number {
  return Math.round(value * 10) / 10;
}

function whisker(from: number, to: number, y: number): string {
  const [top, bottom] = [y - WHISKER, y + WHISKER];
  const path = `M${from} ${top}V${bottom}M${to} ${top}V${bottom}M${from} ${y}H${to}`;
  return `<path d="${path}" stroke="${INK}" fill="none"/>`;
}

function drawBar(bar: Bar, at: number, digits: number, scale: number): string {
  const y = PANEL_HEAD + at * BAR_PITCH;
  const middle = y + BAR_HEIGHT / 2;
  const end = (value: number): number => px(LABEL_WIDTH + value * scale);
  const width = px(Math.max(1, bar.value * scale));
  const fill = bar.isOurs ? OURS : OTHERS;
  return [
    text(LABEL_WIDTH - 8, middle + 4, bar.label, `text-anchor="end" fill="${INK}"`),
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" fill="${fill}"/>`,
    bar.max > bar.min ? whisker(end(bar.min), end(bar.max), middle) : '',
    text(
      end(Math.max(bar.value, bar.max)) + 8,
      middle + 4,
      bar.value.toFixed(digits),
      `fill="${INK}"`,
    ),
  ].join('');
}

function drawPanel(panel: Panel): string {
  const most = Math.max(...panel.bars.map(({ value, max }) => Math.max(value, max)));
  const room = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const scale = most > 0 ? room / most : 0;
  const bottom = PANEL_HEAD + panel.bars.length * BAR_PITCH - (BAR_PITCH - BAR_HEIGHT) + 4;
  return [
    text(0, 14, panel.title, `font-size="14" font-weight="600" fill="${INK}"`),
    text(0, 32, panel.note, `fill="${MUTED}"`),
    `<path d="M${LABEL_WIDTH} ${PANEL_HEAD - 4}V${bottom}" stroke="${MUTED}"/>`,
    ...panel.bars.map((bar, at) => drawBar(bar, at, panel.digits, scale)),
  ].join('\n');
}

/** A complete SVG document; `subtitles` are lines under the title. Panels without bars are left out. */
export function renderPlot(
  title: string,
  subtitles: readonly string[],
  panels: readonly Panel[],
): string {
  const drawn = panels.filter(({ bars }) => bars.length > 0);
  const most = Math.max(0, ...drawn.map(({ bars }) => bars.length));
  const panelHeight = PANEL_HEAD + most * BAR_PITCH + PANEL_FOOT;
  const width = MARGIN + PANELS_PER_ROW * (PANEL_WIDTH + MARGIN);
  const head = HEAD + subtitles.length * SUBTITLE_PITCH;
  const height = head + Math.ceil(drawn.length / PANELS_PER_ROW) * panelHeight;
  const placed = drawn.map((panel, at) => {
    const x = MARGIN + (at % PANELS_PER_ROW) * (PANEL_WIDTH + MARGIN);
    const y = head + Math.floor(at / PANELS_PER_ROW) * panelHeight;
    return `<g transform="translate(${x} ${y})">\n${drawPanel(panel)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(MARGIN, 26, title, `font-size="18" font-weight="600" fill="${INK}"`),
    ...subtitles.map((line, at) => text(MARGIN, 46 + at * SUBTITLE_PITCH, line, `fill="${MUTED}"`)),
    ...placed,
    '</svg>\n',
  ].join('\n');
}
