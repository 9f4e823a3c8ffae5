/** A report as plain data: what its page shows, in this order. */
export interface Report {
  readonly title: string;
  /** One sentence for who reads no further. */
  readonly summary: string;
  readonly sections: readonly Section[];
  /** Under which conditions it was made: name and value. */
  readonly conditions: readonly (readonly [name: string, value: string])[];
}

/** A picture, what it says, and its numbers. */
export interface Section {
  /** For links; unique. */
  readonly id: string;
  readonly title: string;
  /** What is to be seen, for who can't see it as well. */
  readonly text: string;
  readonly chart: Chart;
  readonly table: NumberTable;
}

export interface NumberTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export type Unit = 'bytes' | 'milliseconds' | 'microseconds' | 'seconds' | 'share' | 'count';

export interface Axis {
  readonly label: string;
  readonly unit: Unit;
  readonly isLogarithmic?: boolean;
}

/** Each datum has a text with its values, shown when it is pointed at or reached by keys. */
export type Chart =
  | {
      readonly kind: 'spread';
      readonly axis: Axis;
      readonly data: readonly {
        readonly group: string;
        readonly name: string;
        readonly low: number;
        readonly middle: number;
        readonly high: number;
        readonly text: string;
      }[];
    }
  | {
      readonly kind: 'lines';
      readonly x: Axis;
      readonly y: Axis;
      readonly data: readonly {
        readonly x: number;
        readonly y: number;
        readonly series: string;
        readonly text: string;
      }[];
      /** Lines across the picture. */
      readonly marked: readonly { readonly x: number; readonly text: string }[];
    }
  | {
      readonly kind: 'stack';
      readonly x: Axis;
      readonly y: Axis;
      readonly data: readonly {
        readonly x1: number;
        readonly x2: number;
        readonly y: number;
        readonly series: string;
        readonly text: string;
      }[];
    }
  | {
      readonly kind: 'cells';
      readonly x: Axis;
      readonly value: Axis;
      readonly data: readonly {
        readonly x1: number;
        readonly x2: number;
        readonly row: string;
        readonly value: number;
        readonly text: string;
      }[];
    }
  | {
      readonly kind: 'bars';
      readonly axis: Axis;
      readonly data: readonly {
        readonly name: string;
        readonly series: string;
        readonly value: number;
        readonly text: string;
      }[];
    };
