import { hitRates } from './hit-rate.js';

hitRates('kernel');
