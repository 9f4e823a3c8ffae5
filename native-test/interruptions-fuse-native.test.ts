import { clientsGo } from './interruptions.js';

clientsGo('fuse-native');
