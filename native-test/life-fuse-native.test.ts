import { lives } from './life.js';

lives('fuse-native');
