/** Says what is being done while it takes its time: a spinner on a terminal, plain lines elsewhere. */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;
const CLEAR_LINE = '\r\u001b[2K';

export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class Progress {
  readonly #output: Output;
  #timer: NodeJS.Timeout | undefined;

  constructor(output: Output = process.stderr) {
    this.#output = output;
  }

  /** Begins a step; the one before it is over. */
  step(text: string): void {
    this.done();
    if (this.#output.isTTY !== true) {
      this.#output.write(`${text}\n`);
      return;
    }
    let frame = 0;
    const draw = (): void => {
      this.#output.write(`${CLEAR_LINE}${FRAMES[frame++ % FRAMES.length] ?? ''} ${text}`);
    };
    draw();
    this.#timer = setInterval(draw, FRAME_MS);
    this.#timer.unref();
  }

  /** Ends the present step and leaves the line empty for what is printed next. Safe to call at any time. */
  done(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#output.write(CLEAR_LINE);
  }
}
