import { transactionIdOf } from "../stun/message.ts";
import { readTlvs } from "../stun/tlv.ts";

/** RFC 8489 §14.3. */
const USERNAME = 0x0006;
const utf8 = new TextDecoder();

/**
 * The ufrag of the agent that a check is for, by its own account: the first part of its user name. Undefined for all
 * that is no Binding request with one. Cheap, so that of many agents on one socket the right one can be looked up.
 */
export function addresseeOf(payload: Uint8Array): string | undefined {
  const isBindingRequest = payload[0] === 0x00 && payload[1] === 0x01;
  if (!isBindingRequest || transactionIdOf(payload) === undefined) return undefined;
  const username = readTlvs(payload)?.find(({ type }) => type === USERNAME)?.value;
  return username === undefined ? undefined : utf8.decode(username).split(":", 1)[0];
}
