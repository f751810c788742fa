import type { MicroResult } from './result.ts';

/** One after the other, each alone on the event loop. */
export const SUITES: readonly (() => MicroResult[])[] = [];
