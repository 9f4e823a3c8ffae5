import { damagedAreSafe } from './damaged.js';

damagedAreSafe('kernel');
