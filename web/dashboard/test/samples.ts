// Messages as the sidecar sends them, each with the few fields that a test changes.

import type { Alert, Health, Metrics } from "../src/messages";
import type { Message } from "../src/wire";

export const AT = "2026-11-24T08:00:00Z";

export function metrics(change: Partial<Metrics> = {}): Metrics {
  return {
    at: AT,
    currency: "USDT",
    trades: 3,
    wins: 2,
    losses: 1,
    draws: 0,
    win_rate: 2 / 3,
    pnl_total: "12.50",
    pnl_today: "0",
    pnl_week: "12.50",
    fees_total: "0.30",
    equity: "1012.50",
    peak_equity: "1020",
    drawdown: 0.0073,
    drawdown_today: 0,
    drawdown_week: 0,
    max_drawdown: 0.02,
    max_drawdown_abs: "20",
    sharpe: null,
    sharpe_stderr: null,
    sortino: null,
    calmar: null,
    cagr: null,
    profit_factor: 2.1,
    expectancy: "4.1666",
    sqn: null,
    avg_win: "10",
    avg_loss: "-7.5",
    streak: 1,
    longest_win_streak: 1,
    longest_loss_streak: 1,
    days: 1,
    rolling: {
      trades: 3,
      win_rate: 2 / 3,
      sharpe: null,
      sharpe_stderr: null,
      sortino: null,
      calmar: null,
      profit_factor: 2.1,
      expectancy: "4.1666",
      sqn: null,
      max_drawdown: 0.02,
    },
    undefined: { sharpe: "needs 2 days of returns" },
    ...change,
  };
}

export function alert(id: string, change: Partial<Alert> = {}): Alert {
  return {
    id,
    trigger: "kill_switch",
    severity: "critical",
    bot: "alpha",
    title: "Kill switch",
    text: "",
    state: "open",
    opened: AT,
    closed: null,
    value: null,
    threshold: null,
    suppressed: 0,
    updated: null,
    facts: [],
    deliveries: [],
    silenced: "",
    ...change,
  };
}

export const HEALTH: Health = { at: AT, level: "HEALTHY", reasons: [], bots: {}, apis: {} };

type Snapshot = Extract<Message, { type: "snapshot" }>;

export function snapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    type: "snapshot",
    seq: 10,
    at: AT,
    metrics: { at: AT, bots: { alpha: metrics() }, portfolio: { USDT: metrics() } },
    health: HEALTH,
    alerts: [],
    supervisor: null,
    series: [
      {
        bot: "alpha",
        points: [
          [100, 1000, 0],
          [200, 1010, 0],
        ],
      },
    ],
    ...change,
  };
}
