import { lives } from './life.js';

lives('kernel');
