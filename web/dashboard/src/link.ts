// What the connection is worth: pure decisions over its history and `now`, both in milliseconds.

export const STALE_MS = 15_000;
export const DEAD_MS = 30_000;
export const POLL_MS = 5_000;
export const POLL_AFTER_FAILURES = 3;
const BACKOFF_MAX_MS = 30_000;

export interface Link {
  /** `locked`: the sidecar wants a login; `down`: between two tries, or in one after a failure. */
  readonly phase: "connecting" | "open" | "down" | "locked";
  /** Connects that failed in a row. */
  readonly failures: number;
  /** When the last figures came, by socket or by poll; null before the first. */
  readonly heardAt: number | null;
  readonly retryAt: number | null;
  readonly poll: "off" | "ok" | "failed";
}

export const NEW_LINK: Link = {
  phase: "connecting",
  failures: 0,
  heardAt: null,
  retryAt: null,
  poll: "off",
};

/** 1, 2, 4 ... 30 s, a fifth more or less so that pages do not return all at once. */
export function backoffMs(failures: number, random: number): number {
  const base = 1_000 * 2 ** Math.min(Math.max(failures, 1) - 1, 10);
  return Math.min(
    BACKOFF_MAX_MS,
    Math.round(Math.min(base, BACKOFF_MAX_MS) * (0.8 + 0.4 * random)),
  );
}

export type Condition =
  "connecting" | "live" | "stale" | "reconnecting" | "polling" | "unreachable";

export interface Assessment {
  readonly condition: Condition;
  readonly word: string;
  /** A sentence that does not tick, so that a screen reader says it once; empty when all is well. */
  readonly text: string;
  readonly urgent: boolean;
}

/** Say how far the figures can be trusted at `now`. */
export function assess(link: Link, now: number): Assessment {
  const stale = link.heardAt !== null && now - link.heardAt >= STALE_MS;
  if (link.phase === "open") {
    if (!stale) return say("live", "Live", "");
    return say("stale", "Stale", "No news from the sidecar: the figures may be out of date.", true);
  }
  if (link.failures === 0) return say("connecting", "Connecting", "");
  if (link.poll === "failed" || (link.poll === "ok" && stale)) {
    const text = "The sidecar cannot be reached. The figures are old; is it still running?";
    return say("unreachable", "Unreachable", text, true);
  }
  if (link.poll === "ok") {
    return say(
      "polling",
      "Polling",
      "No live connection: the figures are fetched every 5 seconds.",
    );
  }
  return say("reconnecting", "Reconnecting", "The live connection is lost; reconnecting.");
}

function say(condition: Condition, word: string, text: string, urgent = false): Assessment {
  return { condition, word, text, urgent };
}
