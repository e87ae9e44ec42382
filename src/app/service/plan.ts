import type { Config } from "../../config/schema.ts";

/** Who starts programs on this machine, and brings them back. */
export const INITS = ["systemd", "launchd"] as const;
export type Init = (typeof INITS)[number];

/** What is to run as a service. All paths are absolute. */
export interface ServiceSpec {
  /** Of the service, and of the user that it runs as: `ut`. */
  readonly name: string;
  readonly binary: string;
  readonly configPath: string;
  /** What stands in that file. */
  readonly config: Config;
  /** Whether any user of this machine can read it, a service that sees no home folders included. */
  readonly isConfigOpen: boolean;
}

/** Where the service goes. */
export interface ServicePlace {
  /** Of the whole machine, or of the user who installs it. */
  readonly scope: "system" | "user";
  readonly uid: number;
  readonly home: string;
}

/** A command line. */
export type CommandLine = readonly string[];

/** How a service of one name is put in place and removed; which program it starts does not matter here. */
export interface ServicePlan {
  /** The one file that is written. */
  readonly path: string;
  /** Where somebody else's service of that name would be, which this one would take the place of. */
  readonly others: readonly string[];
  /** Whether its folder may be missing, and is made then: a user's, who has no service yet. */
  readonly makesFolder: boolean;
  /** To be run once the file is there: it is known, started now, and at every start of the machine. */
  readonly start: readonly CommandLine[];
  /** To be run before the file is replaced by another one; may fail. */
  readonly replace: readonly CommandLine[];
  /** To be run before the file is removed; may fail. */
  readonly stop: readonly CommandLine[];
  /** To be run when the file is gone. */
  readonly forget: readonly CommandLine[];
  /** What a person should know once it runs. */
  readonly hints: readonly string[];
}

/** Stands in every file that is written here; one without it belongs to somebody else. */
export const MARKER = "Written by ut service install";
