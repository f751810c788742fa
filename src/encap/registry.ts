import assert from 'node:assert/strict';
import { AppError } from '../base/errors.ts';
import type { NetworkEncapsulation } from './encapsulation.ts';
import { sealed } from './sealed.ts';
import { vxlan } from './vxlan.ts';

/** What a network gets that names none. */
export const DEFAULT_ENCAPSULATION = sealed.name;

/** Encapsulations by name. A network names one; whoever builds the registry decides which exist. */
export class EncapsulationRegistry {
  readonly #formats = new Map<string, NetworkEncapsulation>();

  /** In the order of registration. */
  get names(): readonly string[] {
    return [...this.#formats.keys()];
  }

  /** Adds a format; a second one of the same name is a bug in the composition and throws. */
  register(format: NetworkEncapsulation): this {
    assert(!this.#formats.has(format.name), `encapsulation ${format.name} is registered twice`);
    this.#formats.set(format.name, format);
    return this;
  }

  /**
   * The format of that name.
   * @throws AppError E_ENCAP_UNKNOWN
   */
  get(name: string): NetworkEncapsulation {
    const format = this.#formats.get(name);
    if (format !== undefined) return format;
    throw new AppError(
      'E_ENCAP_UNKNOWN',
      `There is no encapsulation "${name}"; choose one of: ${this.names.join(', ')}.`,
    );
  }
}

/** A registry of every format that Weft brings. */
export function createEncapsulations(): EncapsulationRegistry {
  return new EncapsulationRegistry().register(vxlan).register(sealed);
}
