import { promises } from './promises.js';

promises('kernel');
