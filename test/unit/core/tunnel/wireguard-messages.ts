/** WireGuard's messages as far as `ut` reads them: type, reserved zeros, receiver index, length. */
export function wgMessage(type: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xee);
  bytes.set([type, 0, 0, 0]);
  return bytes;
}

export const initiation = () => wgMessage(1, 148);
export const response = () => wgMessage(2, 92);
export const cookieReply = () => wgMessage(3, 64);

/** A transport message for the key that `receiver` names. */
export function transport(receiver: number, length = 96): Uint8Array {
  const bytes = wgMessage(4, length);
  new DataView(bytes.buffer).setUint32(4, receiver, true);
  return bytes;
}
