/** A point on the monotonic clock, in milliseconds with fractions. Only differences mean anything. */
export type Instant = number;

/** No event is due: compares later than every `Instant`. */
export const NEVER: Instant = Number.POSITIVE_INFINITY;
