import { follows } from './follow.js';

follows('fuse-native');
