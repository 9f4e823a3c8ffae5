import { conforms } from './suite.js';

conforms('kernel');
