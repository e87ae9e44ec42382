import type { LoadSample } from "../core/tunnel/load-history.ts";

/** The rectangle of a plot in pixels, and what its edges stand for. */
export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly from: number;
  readonly to: number;
  /** The upper edge; the lower one is 0. */
  readonly max: number;
  /** What is written below it, in minutes before now; the first one is the left edge. */
  readonly marks: readonly number[];
}

/** The `d` of an SVG path through one figure of all samples; where it is not known the line has a gap. */
export function linePath(
  samples: readonly LoadSample[],
  key: Exclude<keyof LoadSample, "at">,
  { left, right, top, bottom, from, to, max }: Frame,
): string {
  let path = "";
  let isDrawing = false;
  for (const sample of samples) {
    const value = sample[key];
    if (value !== null) {
      const x = left + ((right - left) * (sample.at - from)) / (to - from);
      const y = bottom - ((bottom - top) * value) / max;
      path += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    }
    isDrawing = value !== null;
  }
  return path;
}
