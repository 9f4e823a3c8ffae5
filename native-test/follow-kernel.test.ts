import { follows } from './follow.js';

follows('kernel');
