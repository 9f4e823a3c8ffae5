import { interruptions } from './interruptions.js';

interruptions('kernel');
