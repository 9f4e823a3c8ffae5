/** What became of a profile so far. */
export interface ProfileCounts {
  /** Uses that it has. */
  uses: number;
  /** Asked for ahead, and their plain bytes; of these, what was read afterwards. */
  asked: number;
  askedBytes: number;
  used: number;
  usedBytes: number;
  /** In the cache, or read, before its turn came. */
  overtaken: number;
  /** Not in this tree; there with other content than was learned. */
  absent: number;
  changed: number;
  /** First reads of what it does not have. */
  strayed: number;
  /** 1: the job went another way, and nothing more is fetched for it. */
  stopped: number;
}

export const noProfileCounts: Readonly<ProfileCounts> = {
  uses: 0,
  asked: 0,
  askedBytes: 0,
  used: 0,
  usedBytes: 0,
  overtaken: 0,
  absent: 0,
  changed: 0,
  strayed: 0,
  stopped: 0,
};
