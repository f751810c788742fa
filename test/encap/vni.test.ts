import test from 'ava';
import { AppError } from '../../src/base/errors.ts';
import { checkVni, parseVni } from '../../src/encap/vni.ts';

test('the least and the greatest', (t) => {
  t.is(Number(checkVni(1)), 1);
  t.is(Number(checkVni(16777215)), 16777215);
  t.is(Number(parseVni('16777215')), 16777215);
  t.is(Number(parseVni('0042')), 42);
});

for (const value of [0, -1, 16777216, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`VNI ${value} is refused with the range`, (t) => {
    const error = t.throws(() => checkVni(value), { instanceOf: AppError });
    t.is(error.code, 'E_VNI_RANGE');
    t.true(error.message.startsWith(`The VNI ${value} is out of range`));
    t.regex(error.message, /1 to 16777215/);
  });
}

for (const text of ['', '0', '-1', '16777216', '999999999', '0x10', '1e3', ' 1', '1.0']) {
  test(`VNI text ${JSON.stringify(text)} is refused`, (t) => {
    t.is(t.throws(() => parseVni(text), { instanceOf: AppError }).code, 'E_VNI_RANGE');
  });
}
