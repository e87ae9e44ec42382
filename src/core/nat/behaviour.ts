/** How a NAT behaves, in the words of RFC 4787. */
export type Dependence = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

/** RFC 4787 §4.1: which outside destinations of one inside socket share one outside port. */
export type Mapping = Dependence;
/** RFC 4787 §5: who outside may send to it. */
export type Filtering = Dependence;
