import { conforms } from './suite.js';

conforms('fuse-native');
