import assert from "node:assert/strict";
import { test } from "node:test";
import type { EquityPoint } from "../src/messages";
import { POINTS_MAX, append, spans, sum } from "../src/points";
import * as s from "../src/state";
import { type Message, parse } from "../src/wire";
import { AT, alert, HEALTH, metrics, snapshot } from "./samples";

const start = s.apply(s.EMPTY, snapshot());
const later = (minutes: number): string =>
  new Date(Date.parse(AT) + minutes * 60_000).toISOString();

test("it takes a snapshot whole, even with a lower seq after a restart", () => {
  const again = s.apply({ ...start, seq: 900 }, snapshot({ seq: 2, alerts: [alert("a")] }));
  assert.equal(again.seq, 2);
  assert.deepEqual(
    again.alerts.map((one) => one.id),
    ["a"],
  );
});

test("it changes only the bots that an update names, and appends their points", () => {
  const update = { at: AT, bots: { beta: metrics({ trades: 9 }) }, portfolio: {} };
  const points = { alpha: [[300, 990, 0.02]] as EquityPoint[] };
  const next = s.apply(start, { type: "metrics_update", seq: 11, at: AT, metrics: update, points });
  assert.deepEqual(Object.keys(next.bots), ["alpha", "beta"]);
  assert.equal(next.bots["beta"]?.trades, 9);
  assert.equal(next.series["alpha"]?.length, 3);
  assert.equal(next.seq, 11);
});

test("it leaves the state before untouched", () => {
  const before = structuredClone(start);
  s.apply(start, { type: "alert_triggered", seq: 12, at: AT, alert: alert("x") });
  assert.deepEqual(start, before);
});

test("it ignores an unknown type but moves seq on", () => {
  const odd = { type: "weather_update", seq: 44, at: AT } as unknown as Message;
  assert.deepEqual(s.apply(start, odd), { ...start, seq: 44 });
});

test("it keeps seq when an older alert is replayed", () => {
  const next = s.apply(start, { type: "alert_triggered", seq: 4, at: AT, alert: alert("x") });
  assert.equal(next.seq, 10);
  assert.equal(next.alerts.length, 1);
});

test("it replaces health and supervisor", () => {
  const sick = { ...HEALTH, level: "CRITICAL" as const };
  const one = s.apply(start, { type: "health_update", seq: 11, at: AT, health: sick });
  const two = s.apply(one, {
    type: "supervisor_update",
    seq: 12,
    at: AT,
    supervisor: { quarantine: 3 },
  });
  assert.equal(two.health?.level, "CRITICAL");
  assert.equal(two.supervisor?.quarantine, 3);
});

test("it replaces a point of the same instant and drops an older one", () => {
  const points = append(
    [
      [1, 10, 0],
      [2, 20, 0],
    ],
    [
      [2, 21, 0],
      [1.5, 99, 0],
      [3, 30, 0],
    ],
  );
  assert.deepEqual(points, [
    [1, 10, 0],
    [2, 21, 0],
    [3, 30, 0],
  ]);
});

test("a first trade is two points at one instant, and no line yet", () => {
  const before: EquityPoint = [7, 1000, 0];
  const without: EquityPoint[][] = [[], [before], [before, [7, 990, 0.01]]];
  assert.deepEqual(without.map(spans), [false, false, false]);
  assert.equal(spans([before, [7, 990, 0.01], [8, 995, 0.005]]), true);
});

test("it thins a long curve but keeps first, last, lowest and highest", () => {
  const curve = Array.from({ length: POINTS_MAX }, (_, i): EquityPoint => [
    i,
    i === 501 ? -5 : i === 702 ? 9e9 : 100,
    0,
  ]);
  const points = append(curve, [[POINTS_MAX, 100, 0]]);
  assert.ok(points.length <= POINTS_MAX / 2 + 3, `${points.length}`);
  assert.deepEqual([points[0]?.[0], points.at(-1)?.[0]], [0, POINTS_MAX]);
  assert.ok(points.some((point) => point[1] === -5) && points.some((point) => point[1] === 9e9));
  assert.deepEqual(
    [...points].sort((a, b) => a[0] - b[0]),
    points,
  );
});

test("it puts alerts newest first and replaces one of the same id", () => {
  const list = ["a", "c", "b"].reduce(
    (all, id, i) => s.upsert(all, alert(id, { opened: later([1, 3, 2][i] ?? 0) })),
    [] as readonly ReturnType<typeof alert>[],
  );
  assert.deepEqual(
    list.map((one) => one.id),
    ["c", "b", "a"],
  );
  const acked = s.upsert(list, alert("b", { opened: later(2), state: "acknowledged" }));
  assert.deepEqual(
    acked.map((one) => [one.id, one.state]),
    [
      ["c", "open"],
      ["b", "acknowledged"],
      ["a", "open"],
    ],
  );
});

test("it does not let a replay undo a newer state", () => {
  const closed = alert("a", { state: "resolved", updated: later(5) });
  const list = s.upsert([closed], alert("a", { updated: later(1) }));
  assert.equal(list[0]?.state, "resolved");
});

test("it keeps at most 100 alerts and drops closed ones before open ones", () => {
  const many = Array.from({ length: s.ALERTS_MAX }, (_, i) =>
    alert(`${i}`, { opened: later(-i), state: i === 50 ? "resolved" : "open" }),
  );
  const list = s.upsert(many, alert("new", { opened: later(1) }));
  assert.equal(list.length, s.ALERTS_MAX);
  assert.ok(!list.some((one) => one.id === "50"));
  assert.equal(s.upsert(list, alert("newer", { opened: later(2) })).at(-1)?.id, "98");
});

test("it counts the open criticals only", () => {
  const alerts = [
    alert("a"),
    alert("b", { severity: "warning" }),
    alert("c", { state: "acknowledged" }),
  ];
  assert.equal(s.openCriticals({ ...start, alerts }), 1);
});

test("it goes on with the curve while polling", () => {
  const polled = {
    metrics: { at: later(1), bots: { alpha: metrics({ at: later(1) }) }, portfolio: {} },
    health: HEALTH,
    alerts: [alert("a")],
    supervisor: {},
  };
  const next = s.applyPolled(start, polled);
  assert.deepEqual(next.series["alpha"]?.at(-1), [Date.parse(later(1)) / 1000, 1012.5, 0.0073]);
  assert.equal(s.applyPolled(next, polled).series["alpha"]?.length, 3);
  assert.equal(next.seq, start.seq);
});

test("it shows the wish, else the only bot, else the fullest portfolio", () => {
  assert.equal(s.selected(start, null), "bot:alpha");
  const two = { ...start, bots: { ...start.bots, beta: metrics() } };
  assert.equal(s.selected(two, null), "portfolio:USDT");
  const btc = metrics({ currency: "BTC" });
  const three = {
    ...two,
    bots: { ...two.bots, gamma: btc },
    portfolio: { ...two.portfolio, BTC: btc },
  };
  assert.equal(s.selected(three, null), "portfolio:USDT");
  assert.equal(s.selected(two, "bot:beta"), "bot:beta");
  assert.equal(s.selected(two, "bot:gone"), "portfolio:USDT");
  assert.equal(s.selected(s.EMPTY, "bot:beta"), null);
});

test("it finds the figures of a bot or of a portfolio", () => {
  assert.equal(s.metricsOf(start, "bot:alpha"), start.bots["alpha"]);
  assert.equal(s.metricsOf(start, "portfolio:USDT"), start.portfolio["USDT"]);
  assert.equal(s.metricsOf(start, "bot:nobody"), null);
});

test("it adds equities up from when all are known", () => {
  const a: EquityPoint[] = [
    [1, 10, 0],
    [3, 12, 0],
    [5, 9, 0],
  ];
  const b: EquityPoint[] = [
    [2, 100, 0],
    [3, 110, 0],
  ];
  assert.deepEqual(sum([a, b]), [
    [2, 110, 0],
    [3, 122, 0],
    [5, 119, 0],
  ]);
  assert.deepEqual(sum([]), []);
});

test("it gives a portfolio of one bot that bot's own curve, drawdown included", () => {
  assert.deepEqual(s.curveOf(start, "portfolio:USDT"), {
    points: start.series["alpha"],
    hasDrawdown: true,
  });
  const two = {
    ...start,
    bots: { ...start.bots, beta: metrics() },
    series: { ...start.series, beta: [[150, 5, 0.5]] as EquityPoint[] },
  };
  assert.deepEqual(s.curveOf(two, "portfolio:USDT"), {
    points: [
      [150, 1005, 0],
      [200, 1015, 0],
    ],
    hasDrawdown: false,
  });
});

test("it reads only JSON objects with a type and a seq", () => {
  assert.equal(parse("{"), null);
  assert.equal(parse("[]"), null);
  assert.equal(parse("null"), null);
  assert.equal(parse('{"type":"snapshot"}'), null);
  assert.equal(parse('{"type":"x","seq":1}')?.seq, 1);
});
