import { randomOperations } from './random-operations.js';

randomOperations('fuse-native');
