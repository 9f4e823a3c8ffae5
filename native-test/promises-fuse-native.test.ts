import { promises } from './promises.js';

promises('fuse-native');
