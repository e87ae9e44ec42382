import type { PortMapFailureKind } from "./protocol.ts";

/** RFC 6887 §7.4: result codes by number, and what each of them means for a mapping that was asked for. */
export const PCP_RESULTS: Readonly<Record<number, { readonly name: string; readonly kind: PortMapFailureKind }>> = {
  1: { name: "UNSUPP_VERSION", kind: "unsupported" },
  2: { name: "NOT_AUTHORIZED", kind: "not-authorized" },
  3: { name: "MALFORMED_REQUEST", kind: "bad-answer" },
  4: { name: "UNSUPP_OPCODE", kind: "unsupported" },
  5: { name: "UNSUPP_OPTION", kind: "unsupported" },
  6: { name: "MALFORMED_OPTION", kind: "bad-answer" },
  7: { name: "NETWORK_FAILURE", kind: "no-external-address" },
  8: { name: "NO_RESOURCES", kind: "no-resources" },
  9: { name: "UNSUPP_PROTOCOL", kind: "unsupported" },
  10: { name: "USER_EX_QUOTA", kind: "no-resources" },
  11: { name: "CANNOT_PROVIDE_EXTERNAL", kind: "conflict" },
  12: { name: "ADDRESS_MISMATCH", kind: "address-mismatch" },
  13: { name: "EXCESSIVE_REMOTE_PEERS", kind: "no-resources" },
};
