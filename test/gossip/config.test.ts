import test from 'ava';
import { isAppError } from '../../src/base/errors.ts';
import { asMillis } from '../../src/base/types.ts';
import { presets, verify } from '../../src/gossip/config.ts';

for (const [name, config] of Object.entries(presets)) {
  test(`the preset ${name} is within its own ranges`, (t) => {
    t.notThrows(() => verify(config));
  });
}

for (const [option, value, range] of [
  ['probeInterval', 50, '100 to 60000'],
  ['probeTimeout', 500, '10 to 337.5'],
  ['gossipDelay', 300, '0 to 100'],
  ['datagramBytes', 576, '1200 to 8192'],
  ['rejoinMax', 10, '1000 to 3600000'],
  ['retransmitFactor', NaN, '1 to 10'],
] as const) {
  test(`${option} = ${value} is refused with its range`, (t) => {
    const error = t.throws(() => verify({ ...presets.lan, [option]: asMillis(value) }));
    t.true(isAppError(error, 'E_CONFIG'));
    for (const part of [option, `${value}`, range]) t.true(error.message.includes(part), part);
  });
}
