/** The service of an agent that `ut socks` asks for: streams, each of them one request. */
export const SOCKS_SERVICE = "socks";
