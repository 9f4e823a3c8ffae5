import { clientsGo } from './interruptions.js';

clientsGo('kernel');
