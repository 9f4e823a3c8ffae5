import { mountsGo } from './interruptions.js';

mountsGo('fuse-native');
