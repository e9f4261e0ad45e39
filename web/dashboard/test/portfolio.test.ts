import assert from "node:assert/strict";
import { test } from "node:test";
import type { EquityPoint } from "../src/messages";
import { Curves, lacking, loaded, pathOf, RETRY_MS } from "../src/portfolio";
import * as s from "../src/state";
import type { Message } from "../src/wire";
import { metrics, snapshot } from "./samples";

const one = s.apply(s.EMPTY, snapshot());
const two: s.State = {
  ...one,
  bots: { ...one.bots, beta: metrics() },
  series: { ...one.series, beta: [[150, 5, 0.5]] },
};
const CURVE: EquityPoint[] = [
  [100, 2000, 0],
  [200, 1900, 0.05],
];
const known = loaded(two, "USDT", { portfolio: { USDT: { points: CURVE } } });

function update(portfolio: string, bots = {}): Message {
  const at = "2026-11-24T08:00:01Z";
  const figures = metrics({ at, equity: portfolio, drawdown: 0.1 });
  return {
    type: "metrics_update",
    seq: 99,
    at,
    metrics: { at, bots, portfolio: { USDT: figures } },
  };
}

test("it lacks the curve of a portfolio of several bots only while it is looked at", () => {
  assert.equal(lacking(two, "portfolio:USDT"), "USDT");
  assert.equal(lacking(two, "bot:alpha"), null);
  assert.equal(lacking(two, null), null);
  assert.equal(lacking(one, "portfolio:USDT"), null);
  assert.equal(lacking(known, "portfolio:USDT"), null);
});

test("it shows a portfolio's own curve with its drawdown once that is here", () => {
  assert.equal(s.curveOf(two, "portfolio:USDT").hasDrawdown, false);
  assert.deepEqual(s.curveOf(known, "portfolio:USDT"), { points: CURVE, hasDrawdown: true });
  const nothing = loaded(two, "USDT", { portfolio: {} });
  assert.equal(s.curveOf(nothing, "portfolio:USDT").hasDrawdown, false);
});

test("it follows the portfolio's figures", () => {
  const next = s.apply(known, update("1800"));
  const at = Date.parse("2026-11-24T08:00:01Z") / 1000;
  assert.deepEqual(s.curveOf(next, "portfolio:USDT").points, [...CURVE, [at, 1800, 0.1]]);
  assert.deepEqual(s.apply(two, update("1800")).wholes, {});
});

test("it asks again after a snapshot and when a bot joins, and shows the old curve meanwhile", () => {
  for (const next of [
    { ...s.apply(known, snapshot()), bots: two.bots },
    s.apply(known, update("1800", { gamma: metrics() })),
  ]) {
    assert.equal(lacking(next, "portfolio:USDT"), "USDT");
    assert.equal(next.wholes["USDT"]?.points[0], CURVE[0]);
  }
  const other = metrics({ currency: "BTC" });
  assert.equal(lacking(s.apply(known, update("1800", { gamma: other })), "portfolio:USDT"), null);
});

test("it names the currency in its path", () => {
  assert.equal(pathOf("A&B"), "/api/v1/metrics/history?currency=A%26B&points=500");
});

/** A world whose answers and timers come when the test says so. */
function asking(state: s.State) {
  const asked: { answer: (points: EquityPoint[]) => void; fail: () => void }[] = [];
  const timers: { ms: number; call: () => void }[] = [];
  const box = { value: state };
  let turns = 0;
  const world = {
    get: () =>
      new Promise<unknown>((resolve, reject) =>
        asked.push({
          answer: (points) => resolve({ portfolio: { USDT: { points } } }),
          fail: () => reject(new Error("down")),
        }),
      ),
    after: (ms: number, call: () => void) => {
      timers.push({ ms, call });
      return () => {};
    },
  };
  const curves = new Curves(world, box, () => {
    turns += 1;
    if (lacking(box.value, "portfolio:USDT")) curves.ask("USDT");
  });
  return { asked, timers, box, curves, turns: () => turns };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("it asks for a curve once, and again some time after a failure, whatever else happens", async () => {
  const { asked, timers, box, curves } = asking(two);
  curves.ask("USDT");
  curves.ask("USDT");
  assert.equal(asked.length, 1);
  asked[0]?.fail();
  await settled();
  assert.deepEqual(
    timers.map(({ ms }) => ms),
    [RETRY_MS],
  );
  curves.ask("USDT");
  assert.equal(asked.length, 1);
  timers[0]?.call();
  assert.equal(asked.length, 2);
  asked[1]?.answer(CURVE);
  await settled();
  assert.equal(asked.length, 2);
  assert.deepEqual(s.curveOf(box.value, "portfolio:USDT").points, CURVE);
});

test("it asks again where a bot joined while the answer was under way", async () => {
  const { asked, box, curves } = asking(two);
  curves.ask("USDT");
  box.value = s.apply(box.value, update("1800", { gamma: metrics() }));
  asked[0]?.answer(CURVE);
  await settled();
  assert.equal(asked.length, 2);
  asked[1]?.answer(CURVE);
  await settled();
  assert.equal(asked.length, 2);
  assert.equal(box.value.wholes["USDT"]?.fresh, true);
});
