import { interruptions } from './interruptions.js';

interruptions('fuse-native');
