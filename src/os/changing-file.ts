import { readFileSync, statSync } from 'node:fs';

/** The text of a file, read again when it has changed; empty while it can't be read. */
export class ChangingFile {
  readonly #path: string;
  #stamp = '';
  #text = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** One system call if nothing has changed. */
  read(): string {
    try {
      const { ino, mtimeMs, size } = statSync(this.#path);
      const stamp = `${ino} ${mtimeMs} ${size}`;
      if (stamp !== this.#stamp) this.#text = readFileSync(this.#path, 'utf8');
      this.#stamp = stamp;
    } catch {
      // A host without the file, or just between two versions of it, knows no resolver.
      this.#stamp = '';
      this.#text = '';
    }
    return this.#text;
  }
}
