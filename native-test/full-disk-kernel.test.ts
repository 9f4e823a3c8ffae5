import { fullDisk } from './full-disk.js';

fullDisk('kernel');
