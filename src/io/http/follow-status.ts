import { UtError } from "../../core/error.ts";
import { noNode, unanswered } from "./ask-status.ts";
import { fetchNode } from "./fetch-node.ts";
import type { HistoryEvent, StatusEvent } from "./live-status.ts";

export type FollowedEvent = ({ readonly type: "history" } & HistoryEvent) | ({ readonly type: "status" } & StatusEvent);

/** The node says something each second, a very busy one at least every ten. */
const SILENCE_MS = 15_000;
/** The largest event; a server of a thousand sessions has one of about 2 MB. */
const MAX_EVENT_CHARS = 64 * 1024 * 1024;

/**
 * What the node at `host:port` says from now on: `/api/events`. Ends when the node ends it. Throws `io.connect` when
 * nobody answers, something that is not `ut`, or nothing is said for too long; `flag` as of `askStatus`.
 */
export async function* followStatus(
  address: string,
  signal: AbortSignal,
  flag: string,
): AsyncGenerator<FollowedEvent, void> {
  const url = `http://${address}/api/events`;
  const silence = new AbortController();
  const limit = AbortSignal.any([signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await fetchNode(url, { signal: limit });
    if (response.status === 503) throw noNode(url, flag, (await response.text()).trim());
    if (!response.ok || response.body === null || !response.headers.get("content-type")?.startsWith(EVENT_STREAM))
      throw noNode(url, flag, `the answer, ${response.status}, is not that of a node`);
    for await (const text of eventTexts(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const event = parseEvent(text);
      if (event !== undefined) yield event;
    }
  } catch (error) {
    if (signal.aborted || error instanceof UtError) throw error;
    throw unanswered(url, flag, error);
  } finally {
    clearTimeout(timer);
  }
}

const EVENT_STREAM = "text/event-stream";

/** What stands between empty lines. */
async function* eventTexts(body: NonNullable<Response["body"]>): AsyncGenerator<string, void> {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const texts = (rest + chunk).split("\n\n");
    rest = texts.pop() ?? "";
    if (rest.length > MAX_EVENT_CHARS) return;
    yield* texts;
  }
}

/** Undefined for an event of a later version. */
function parseEvent(text: string): FollowedEvent | undefined {
  const [, type, data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(text) ?? [];
  if (type !== "history" && type !== "status") return undefined;
  return { type, ...JSON.parse(data) };
}
