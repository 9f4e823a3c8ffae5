import { waiting } from './waiting.js';

waiting('fuse-native');
