import { fullDisk } from './full-disk.js';

fullDisk('fuse-native');
