import { randomOperations } from './random-operations.js';

randomOperations('kernel');
