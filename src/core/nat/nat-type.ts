/**
 * What stands between this host and the internet, in the word that decides how to go direct.
 *
 * - `open`: the host's own address is seen outside and anybody may send to it.
 * - `cone`: every destination sees one outside address and port. So does a firewall without translation: a peer gets
 *   in once it was sent something. How much it must have been sent is the report's `filtering`.
 * - `symmetric`: different destinations see different ones. Whether the next one can be guessed is the report's `ports`.
 * - `blocked`: no UDP comes back from anywhere.
 * - `unknown`: it could not be told; the report's `reasons` say why.
 */
export type NatType = "open" | "cone" | "symmetric" | "blocked" | "unknown";

/**
 * How a NAT chooses the outside port of a new mapping: the inside port; the last one plus `delta` (with its sign), give
 * or take what other users of the NAT took meanwhile; or nothing that could be guessed.
 */
export type PortAllocation =
  | { readonly kind: "preserved" }
  | { readonly kind: "sequential"; readonly delta: number }
  | { readonly kind: "random" };

/** RFC 4787 §4.1, "IP address pooling": all ports of one host come from one outside address, or from any of several. */
export type Pooling = "paired" | "arbitrary";

/**
 * How many NATs there are on the way out, as far as addresses give it away. `carrier`: the host itself has an address
 * of the carriers' shared space (RFC 6598), so the only NAT is not one that its user could configure.
 */
export type NatLayers = "none" | "one" | "carrier" | "two-or-more";
