import { damagedAreSafe } from './damaged.js';

damagedAreSafe('fuse-native');
