import { ioErrors } from './io-errors.js';

ioErrors('fuse-native');
