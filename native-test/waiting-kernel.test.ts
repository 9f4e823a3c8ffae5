import { waiting } from './waiting.js';

waiting('kernel');
