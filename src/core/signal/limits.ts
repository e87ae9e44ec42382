/**
 * What server and peers hold each other to on control connections (DESIGN "Signalling", "Safety"). A number that stands
 * for both sides stands here, so that an honest peer never runs into it.
 */

/** Pipes of one session, offered and opened. */
export const MAX_CHANNELS = 64;
/** `open_p2p` of one CN without an outcome yet. */
export const MAX_PENDING_OPENS = 8;
/** The server waits so long for a target that has not registered, and again so long for its answer. */
export const TARGET_WAIT_MS = 10_000;
export const ANSWER_WAIT_MS = 10_000;
/** One end has asked to punch, the other has not yet. */
export const PUNCH_WAIT_MS = 10_000;
/** The server is asked for no longer pauses than this before a common start, and nobody waits longer. */
export const MAX_START_DELAY_MS = 1_000;

/** Of each kind, by one CN, in any 10 s: requests to punch that it makes, starts that it is told. */
export const PUNCHES_PER_WINDOW = 8;
export const WINDOW_MS = 10_000;

/** Signals of one connection, over time; what a slow path held back for 10 s may come at once. */
export const SIGNALS_PER_SECOND = 50;
export const SIGNAL_BURST = SIGNALS_PER_SECOND * 10;

/** A session without a control connection keeps its pipes so long: longer than the minute of one that was replaced. */
export const RECONNECT_GRACE_MS = 90_000;
/** How long a process stays away after `goodbye{replaced}`. */
export const REPLACED_WAIT_MS = 60_000;
