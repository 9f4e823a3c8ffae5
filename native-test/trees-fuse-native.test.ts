import { treesAreEqual } from './trees.js';

treesAreEqual('fuse-native');
