import { leavings } from './leaving.js';

leavings('kernel');
