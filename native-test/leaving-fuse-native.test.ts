import { leavings } from './leaving.js';

leavings('fuse-native');
