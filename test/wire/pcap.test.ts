import test from 'ava';
import { pcapFileHeader, pcapRecord, SNAP_BYTES } from '../../src/wire/pcap.ts';

test('the golden file header', (t) => {
  t.is(
    pcapFileHeader().toString('hex'),
    '4d3cb2a1' + // little-endian, nanoseconds
      '0200' + // version 2
      '0400' + // .4
      '0000000000000000' + // zone and accuracy, always zero
      '00000400' + // 262144 bytes are kept of a frame
      '01000000', // Ethernet
  );
});

test('a record carries the frame, its stamp and its length', (t) => {
  const record = pcapRecord(Buffer.from('abcdef', 'hex'), 1_700_000_000_250.5);
  t.is(record.readUInt32LE(0), 1_700_000_000);
  t.is(record.readUInt32LE(4), 250_500_000);
  t.is(record.subarray(8).toString('hex'), '03000000' + '03000000' + 'abcdef');
});

test('a long frame is cut and the record says so', (t) => {
  const record = pcapRecord(Buffer.alloc(SNAP_BYTES + 1), 0);
  t.is(record.length, 16 + SNAP_BYTES);
  t.is(record.readUInt32LE(8), SNAP_BYTES);
  t.is(record.readUInt32LE(12), SNAP_BYTES + 1);
});
