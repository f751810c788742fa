import test from 'ava';
import { nativeContract } from './native-contract.ts';

nativeContract(test, { vnetHeaderBytes: 12, threads: 1 });
nativeContract(test, { vnetHeaderBytes: 10, threads: 2 });
