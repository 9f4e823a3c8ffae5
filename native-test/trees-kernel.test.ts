import { treesAreEqual } from './trees.js';

treesAreEqual('kernel');
