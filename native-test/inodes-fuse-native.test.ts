import { numbersInodes } from './inodes.js';

numbersInodes('fuse-native');
