import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonOf, rollingRows, rows } from "../src/cards";
import { UNDEFINED } from "../src/format";
import { metrics } from "./samples";

const RATIOS = ["win_rate", "sharpe", "sortino", "calmar", "profit_factor", "expectancy", "sqn"];

function without(prefix: string) {
  const fields = [...RATIOS, "max_drawdown"];
  const none = Object.fromEntries(fields.map((field) => [field, null]));
  const undefined_ = Object.fromEntries(fields.map((field) => [prefix + field, `no ${field}`]));
  return { none, undefined: undefined_ };
}

test("it says why a rolling figure is empty", () => {
  const { none, undefined: why } = without("rolling.");
  const known = metrics();
  const empty = metrics({ rolling: { ...known.rolling, ...none }, undefined: why });
  const found = rollingRows(empty);
  assert.ok(found.every(([, value]) => value === UNDEFINED));
  assert.deepEqual(
    found.map((row) => reasonOf(row, empty.undefined)).sort(),
    Object.values(why).sort(),
  );
});

test("it gives no reason beside a figure, nor the whole history's for a rolling one", () => {
  const known = metrics({ undefined: { sharpe: "needs 2 days", profit_factor: "stale" } });
  const of = (label: string) => rows(known).find((row) => row[0] === label);
  assert.equal(reasonOf(of("Profit factor") ?? ["", ""], known.undefined), "");
  assert.ok(rollingRows(known).every((row) => reasonOf(row, known.undefined) === ""));
});
