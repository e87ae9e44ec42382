/** What one agent has sent, and what it heard that did not count and changed nothing. */
export interface IceCounters {
  checksSent: number;
  /** Not sent, as nothing had come from that address after seven. */
  checksWithheld: number;
  answersSent: number;
  /** Not sent to an address that never answered, as it had asked too often, or too many addresses had. */
  answersWithheld: number;
  /** With our name but not with the credentials; or an answer from the wrong address or without them. */
  unauthenticated: number;
  /** With our name, but not a check as it has to be. */
  malformed: number;
  /** Candidates and pairs that were one too many. */
  refused: number;
}

export function newIceCounters(): IceCounters {
  return {
    checksSent: 0,
    checksWithheld: 0,
    answersSent: 0,
    answersWithheld: 0,
    unauthenticated: 0,
    malformed: 0,
    refused: 0,
  };
}
