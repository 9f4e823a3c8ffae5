import { mountsGo } from './interruptions.js';

mountsGo('kernel');
