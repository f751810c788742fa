import type { ExecutionContext } from 'ava';
import { Lab } from '../../bench/lib/lab.ts';

/** A lab that is destroyed when the test ends, however it ends. `area` as for `Lab`. */
export function openLab(t: Pick<ExecutionContext, 'teardown'>, area: string): Lab {
  const lab = new Lab(area);
  t.teardown(() => lab.destroy());
  return lab;
}
