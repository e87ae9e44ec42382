import type { Endpoint } from "../net/endpoint.ts";

export interface StunServerOptions {
  /**
   * Each socket as others reach it, which behind a 1:1 NAT is not what it is bound to. An unspecified address says that
   * nobody knows; sockets with one count as being of one address.
   */
  readonly sockets: readonly Endpoint[];
  /** Who is recognised; nobody unless told. */
  readonly users?: KnownUsers;
}

/** Users whom a server recognises. */
export interface KnownUsers {
  /** Undefined for a name that means nothing here. */
  passwordOf(username: string): string | undefined;
  /** 32 random bytes that nobody else knows. */
  readonly secret: Uint8Array;
}

/** What became of every datagram that came in: each counts once. */
export interface StunServerCounters {
  readonly answered: number;
  readonly rateLimited: number;
  /** No STUN message. */
  readonly malformed: number;
  /** Answered with 420: the request demands what this server does not do. */
  readonly unknownAttributes: number;
  /** Answered with 401: in the name of a user, but not with its password. */
  readonly unauthorized: number;
  /** Nothing to answer: no Binding request, or from where no answer can go. */
  readonly ignored: number;
}

export type StunServerEvent =
  /** A source asked too often; told of again only once it was polled. */
  | { readonly type: "limited"; readonly from: Endpoint }
  /** A user asked from there, and has shown that answers reach it there. */
  | { readonly type: "observed"; readonly username: string; readonly from: Endpoint };
