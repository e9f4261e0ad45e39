import assert from "node:assert/strict";
import { test } from "node:test";
import { assess, backoffMs, type Link, NEW_LINK, STALE_MS } from "../src/link";

const link = (change: Partial<Link>): Link => ({ ...NEW_LINK, heardAt: 0, ...change });

test("it doubles the pause from 1 to 30 seconds", () => {
  const pauses = [1, 2, 3, 4, 5, 6, 50].map((failures) => backoffMs(failures, 0.5));
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("it spreads the pause by a fifth, never above 30 seconds", () => {
  assert.deepEqual(
    [backoffMs(2, 0), backoffMs(2, 1), backoffMs(9, 0), backoffMs(9, 1)],
    [1_600, 2_400, 24_000, 30_000],
  );
});

test("it calls figures live until 15 seconds of silence", () => {
  const open = link({ phase: "open" });
  assert.equal(assess(open, STALE_MS - 1).condition, "live");
  assert.equal(assess(open, STALE_MS - 1).text, "");
  const stale = assess(open, STALE_MS);
  assert.deepEqual([stale.condition, stale.urgent], ["stale", true]);
});

test("it tells reconnecting, polling and unreachable apart", () => {
  const down = { phase: "down", failures: 3 } as const;
  assert.equal(assess(link({ ...down, failures: 1 }), 0).condition, "reconnecting");
  assert.equal(assess(link({ ...down, poll: "ok" }), 1_000).condition, "polling");
  assert.equal(assess(link({ ...down, poll: "ok" }), STALE_MS).condition, "unreachable");
  assert.equal(assess(link({ ...down, poll: "failed" }), 1_000).condition, "unreachable");
});

test("it shows no banner during the first connect", () => {
  assert.deepEqual(assess(NEW_LINK, 1e9), {
    condition: "connecting",
    word: "Connecting",
    text: "",
    urgent: false,
  });
});
