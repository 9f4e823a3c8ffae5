import { endings } from './endings.js';

endings('fuse-native');
