import { endings } from './endings.js';

endings('kernel');
