import assert from "node:assert/strict";
import { test } from "node:test";
import * as f from "../src/format";

test("it writes two decimals, grouped", () => {
  assert.equal(f.number(1234.5), "1,234.50");
  assert.equal(f.number(-0.001), "0.00");
  assert.equal(f.number(null), "—");
});

test("it writes fractions as percent", () => {
  assert.equal(f.percent(0.12345), "12.35%");
  assert.equal(f.percent(0.05, "exceptZero"), "+5.00%");
  assert.equal(f.percent(null), "—");
});

test("it writes ISO currencies with their sign and others with their code", () => {
  assert.equal(f.money("1234.5", "USD"), "$1,234.50");
  assert.equal(f.money("-3", "EUR"), "-€3.00");
  assert.equal(f.money("1234.5", "USDT"), "1,234.50 USDT");
  assert.equal(f.money("12", "USDT", "exceptZero"), "+12.00 USDT");
  assert.equal(f.money("0", "USDT", "exceptZero"), "0.00 USDT");
  assert.equal(f.money(null, "USD"), "—");
});

test("it keeps the digits of small and of huge amounts", () => {
  assert.equal(f.money("0.000423", "BTC"), "0.00042 BTC");
  assert.equal(f.money("-0.0031", "USD"), "-$0.0031");
  assert.equal(f.money("9007199254740993.07", "USDT"), "9,007,199,254,740,993.07 USDT");
});

test("it writes ages in their largest units", () => {
  const s = 1000;
  assert.deepEqual([0, 59 * s, 60 * s, 3_660 * s, 100_000 * s, -5].map(f.age), [
    "0 s",
    "59 s",
    "1 min",
    "1 h 01 min",
    "1 d 3 h",
    "0 s",
  ]);
});

test("it writes instants in UTC on a 24-hour clock", () => {
  assert.equal(f.instant("2026-11-24T23:01:02.5+02:00"), "24 Nov 2026 21:01:02 UTC");
  assert.equal(f.instant(null), "—");
  assert.equal(f.instant("soon"), "—");
});

test("it says just now for a sidecar whose clock runs ahead", () => {
  const now = Date.parse("2026-11-24T08:00:00Z");
  assert.equal(f.ago("2026-11-24T08:00:05Z", now), "just now");
  assert.equal(f.ago("2026-11-24T07:55:00Z", now), "5 min ago");
});

test("it labels the axis by the distance of its ticks", () => {
  const noon = Date.UTC(2026, 10, 24, 12) / 1000;
  assert.equal(f.axisTime(noon, 3600), "12:00");
  assert.equal(f.axisTime(noon, 10), "12:00:00");
  assert.equal(f.axisTime(noon, 86_400), "24 Nov");
  assert.equal(f.axisTime(noon + 43_200, 3600), "25 Nov");
});

test("it counts in words", () => {
  assert.deepEqual(
    [f.count(1, "trade"), f.count(2000, "trade"), f.count(3, "loss", "losses")],
    ["1 trade", "2,000 trades", "3 losses"],
  );
});

test("it rates a Sharpe ratio by its size and its error", () => {
  const rate = (sharpe: number | null, sharpe_stderr: number | null) =>
    f.rateSharpe({ sharpe, sharpe_stderr }).tone;
  assert.deepEqual(
    [rate(1.5, 0.5), rate(1.5, 2), rate(0.4, 0.1), rate(-0.1, 3), rate(null, null)],
    ["good", "fair", "fair", "bad", "none"],
  );
});

test("it rates drawdowns and P&L", () => {
  assert.deepEqual(
    [0, 0.049, 0.05, 0.1].map((d) => f.rateDrawdown(d).tone),
    ["good", "good", "fair", "bad"],
  );
  assert.deepEqual(
    ["1", "0.00", "-1"].map((p) => f.ratePnl(p).tone),
    ["good", "fair", "bad"],
  );
});

test("it rates a win rate against break-even", () => {
  const won = { trades: 100, draws: 0, avg_win: "30", avg_loss: "-10" };
  assert.equal(f.breakEven(won), 0.25);
  assert.equal(f.breakEven({ ...won, avg_win: "0", avg_loss: "0" }), null);
  const rate = (win_rate: number) => f.rateWinRate({ ...won, win_rate }).tone;
  assert.deepEqual([rate(0.35), rate(0.27), rate(0.2)], ["good", "fair", "bad"]);
});

test("it takes no draw for a loss that wins must pay for", () => {
  const won = { trades: 100, draws: 60, avg_win: "30", avg_loss: "-30" };
  assert.equal(f.breakEven(won), 0.2);
  assert.equal(f.rateWinRate({ ...won, win_rate: 0.3 }).word, "above break-even");
  assert.equal(f.rateWinRate({ ...won, win_rate: 0.19 }).word, "below break-even");
});

test("it rates a win rate without a win or without a loss by what there is", () => {
  const rate = (win_rate: number, avg_win: string | null, avg_loss: string | null) =>
    f.rateWinRate({ trades: 10, draws: 6, win_rate, avg_win, avg_loss }).word;
  assert.deepEqual(
    [rate(0.4, "3", null), rate(0, null, "-3"), rate(0, null, null)],
    ["no loss", "no win", "even"],
  );
});

test("it gives every tone but none a mark, so that colour is never alone", () => {
  const marks = [f.MARKS.good, f.MARKS.fair, f.MARKS.bad];
  assert.equal(new Set(marks).size, 3);
  assert.ok(marks.every((mark) => mark.length > 0));
});

test("it says of positions what the bot told, and nothing in its place", () => {
  const never = {
    open: null,
    limit: 0,
    utilization: null,
    last_rejection: "",
    last_rejection_at: null,
    reported_at: null,
  };
  assert.equal(f.occupied(never), "not reported");
  assert.equal(f.occupied({ ...never, limit: 5 }), "not reported, limit 5");
  assert.equal(f.occupied({ ...never, open: 0 }), "0 open, no limit known");
  assert.equal(f.occupied({ ...never, open: 0, limit: 5, utilization: 0 }), "0 / 5 open (0.00%)");
});
