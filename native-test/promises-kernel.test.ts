import { promises } from './promises.js';

promises('kernel');
// With nothing fetched ahead as well: nothing that holds may hang on what a reader happens to find.
promises('kernel', ['--ahead', 'off']);
