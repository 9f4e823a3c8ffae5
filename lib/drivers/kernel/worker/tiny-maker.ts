import { done } from '../../../store/want.js';
import { tinyFilesystem } from '../../tiny-filesystem.js';
import type { FilesystemMaker } from './filesystem-maker.js';

/** Makes the tiny filesystem, whatever the snapshot descriptor. */
function openTinyMaker(): FilesystemMaker {
  return {
    make: () => done({ filesystem: tinyFilesystem(), close: () => undefined }),
    beginRun: () => undefined,
    close: () => undefined,
  };
}

// The name by which the worker knows it.
export { openTinyMaker as openMaker };
