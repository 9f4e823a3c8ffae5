/**
 * How much may be asked for that perhaps nobody reads. What was asked for and not read stays below a share of what was
 * read, or below a small allowance; at the begin more than that can be earned by what was asked for and read, and is
 * lost again when it isn't. All in plain bytes.
 */
export interface WasteBound {
  /** A file was read in no order, that had not been asked for. */
  read(bytes: number): void;
  asked(bytes: number): void;
  /** What had been asked for was read. */
  used(bytes: number): void;
  /** What was asked for has waited for so long that it may never be read. */
  doubted(bytes: number): void;
  /**
   * How much more may be asked for now.
   * @param isLikely of what is asked for much is read, for its bytes: what was earned counts as well.
   */
  room(isLikely: boolean): number;
}

// Of files as they compress, the small ones a little less than the large: a tenth of what is sent is less of the plain bytes.
const share = 0.08;
const allowanceBytes = 256 * 1024;
const earnedBytesMax = 768 * 1024;
// So much is earned by each byte that was used, and lost by each that wasn't.
const earnedByUse = 16;
// Of what was earned a read of something else takes so much.
const lostByRead = 1 / 64;
// It is a loan to begin with: where so much was read, the share of that has to do.
const loanUntilBytes = 8 * 1024 * 1024;
// What was read long ago counts for less: half of it is forgotten when it was so much.
const rememberedBytes = 16 * 1024 * 1024;

export function openWasteBound(): WasteBound {
  let [readBytes, unreadBytes, earned] = [0, 0, 0];

  function remember(bytes: number): void {
    readBytes += bytes;
    if (readBytes <= rememberedBytes) return;
    readBytes /= 2;
    unreadBytes /= 2;
  }

  return {
    read(bytes) {
      remember(bytes);
      earned -= earned * lostByRead;
    },
    asked(bytes) {
      unreadBytes += bytes;
    },
    used(bytes) {
      remember(bytes);
      unreadBytes = Math.max(0, unreadBytes - bytes);
      earned = Math.min(earnedBytesMax, earned + earnedByUse * bytes);
    },
    doubted(bytes) {
      earned = Math.max(0, earned - earnedByUse * bytes);
    },
    room(isLikely) {
      const loan = isLikely ? earned * Math.max(0, 1 - readBytes / loanUntilBytes) : 0;
      return Math.max(allowanceBytes + loan, share * readBytes) - unreadBytes;
    },
  };
}
