import test from 'ava';
import { clampMss } from '../../src/dataplane/mss-clamp.ts';
import { isSynWhole, mssOf, synFrame, type SynSpec } from '../fakes/syn.ts';

const MTU = 1414;

function clamped(spec: SynSpec): Buffer {
  const frame = synFrame(spec);
  clampMss(frame, 0, frame.length, MTU);
  return frame;
}

for (const family of [4, 6] as const) {
  const most = MTU - (family === 4 ? 40 : 60);

  test(`IPv${family}: a SYN announces no more than packets of the MTU hold, and its checksum is right`, (t) => {
    // Nothing before it, and so that the value lies across two words of the checksum.
    for (const before of ['', '01', '0101', '080a0000000100000000', '0402' + '030307']) {
      for (const mss of [most + 1, 8960, 65_535]) {
        const frame = clamped({ family, mss, before });
        t.is(mssOf(frame, before.length / 2), most, `${mss} behind ${before}`);
        t.true(isSynWhole(frame), `${mss} behind ${before}`);
      }
    }
  });

  test(`IPv${family}: what fits, and what is no SYN, stays as it is`, (t) => {
    const specs: SynSpec[] = [
      { family, mss: most },
      { family, mss: 536 },
      { family, flags: 0x10 },
      { family, flags: 0x18, payload: 100 },
      // Options that end before it, that lead nowhere, or past the header.
      { family, before: '00010101' },
      { family, before: '05000101' },
      { family, before: '05ff0101' },
    ];
    for (const spec of specs) t.deepEqual(clamped(spec), synFrame(spec), JSON.stringify(spec));
  });

  test(`IPv${family}: a frame that is cut short anywhere is left alone`, (t) => {
    const whole = synFrame({ family });
    for (let end = 14; end < whole.length; end++) {
      const frame = Buffer.from(whole);
      clampMss(frame, 0, end, MTU);
      t.deepEqual(frame, whole, `${end} bytes`);
    }
  });
}

test('a SYN with ACK is clamped, and a tag in front makes no difference', (t) => {
  t.is(mssOf(clamped({ flags: 0x12 })), MTU - 40);
  const untagged = synFrame();
  const tagged = Buffer.concat([
    untagged.subarray(0, 12),
    Buffer.from('81000007', 'hex'),
    untagged.subarray(12),
  ]);
  clampMss(tagged, 0, tagged.length, MTU);
  const without = Buffer.concat([tagged.subarray(0, 12), tagged.subarray(16)]);
  t.is(mssOf(without), MTU - 40);
  t.true(isSynWhole(without));
});
