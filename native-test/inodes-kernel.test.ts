import { numbersInodes } from './inodes.js';

numbersInodes('kernel');
