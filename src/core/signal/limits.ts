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

/** Between two CNs in one direction: nobody takes all channels of a target. */
export const MAX_PIPES_PER_PAIR = 16;

/** Of each kind, of one CN, in any 10 s: requests to punch that it makes, starts that it is told, results it reports. */
export const PUNCHES_PER_WINDOW = 8;
/** `open_p2p`: all of a process's, when its server has restarted. */
export const OPENS_PER_WINDOW = MAX_CHANNELS;
export const WINDOW_MS = 10_000;

/** Sessions of one CN that the server remembers. The one that was silent longest makes room. */
export const SESSIONS_PER_CN = 8;
/** Messages that wait for a peer to read them. */
export const MAX_UNREAD = 256;

/** Signals of one connection, over time; what a slow path held back for 10 s may come at once. */
export const SIGNALS_PER_SECOND = 50;
export const SIGNAL_BURST = SIGNALS_PER_SECOND * 10;

/** A session without a control connection keeps its pipes so long: longer than the minute of one that was replaced. */
export const RECONNECT_GRACE_MS = 90_000;
/** How long a process stays away after `goodbye{replaced}`. */
export const REPLACED_WAIT_MS = 60_000;
