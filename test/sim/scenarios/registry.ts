import type { Scenario } from '../run.ts';
import { churn } from './churn.ts';
import { day } from './day.ts';
import { endpoint } from './endpoint.ts';
import { idle } from './idle.ts';
import { join } from './join.ts';
import { kill } from './kill.ts';
import { loss } from './loss.ts';
import { oneWay } from './one-way.ts';
import { partition } from './partition.ts';
import { skew } from './skew.ts';
import { slow } from './slow.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...[idle, join, kill, endpoint, loss, slow, oneWay, skew, churn, partition, day],
];
