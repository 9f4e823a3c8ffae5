import { ioErrors } from './io-errors.js';

ioErrors('kernel');
