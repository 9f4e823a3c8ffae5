import { hitRates } from './hit-rate.js';

hitRates('fuse-native');
