// Everything the page knows, and how one message changes it: pure, no clock and no socket.

import type { Alert, EquityPoint, Health, Metrics, MetricsUpdate } from "./messages";
import { append, sum } from "./points";
import { aged, followed, type Wholes } from "./wholes";
import type { Message, Polled, SystemStatus } from "./wire";

export const ALERTS_MAX = 100;

export interface State {
  /** The last seq seen: what `resume` names. 0 before the first message. */
  readonly seq: number;
  readonly at: string | null;
  readonly bots: Readonly<Record<string, Metrics>>;
  readonly portfolio: Readonly<Record<string, Metrics>>;
  readonly health: Health | null;
  readonly alerts: readonly Alert[];
  readonly supervisor: SystemStatus | null;
  readonly series: Readonly<Record<string, readonly EquityPoint[]>>;
  /** The curves of portfolios that were looked at, by currency. */
  readonly wholes: Wholes;
  /** How often they have become old: what was asked for before is old when it comes. */
  readonly aged: number;
}

export const EMPTY: State = {
  seq: 0,
  at: null,
  bots: {},
  portfolio: {},
  health: null,
  alerts: [],
  supervisor: null,
  series: {},
  wholes: {},
  aged: 0,
};

/** The state after `message`. A type that this page does not know only moves `seq` on. */
export function apply(state: State, message: Message): State {
  const at = message.at ?? state.at;
  if (message.type === "snapshot") {
    // A restarted sidecar may count from a lower seq: its snapshot is the new beginning.
    return {
      seq: message.seq,
      at,
      bots: message.metrics.bots,
      portfolio: message.metrics.portfolio,
      health: message.health,
      alerts: trim(message.alerts),
      supervisor: message.supervisor,
      series: Object.fromEntries(message.series.map((one) => [one.bot, one.points])),
      wholes: aged(state.wholes),
      aged: state.aged + 1,
    };
  }
  const next = { ...state, at, seq: Math.max(state.seq, message.seq) };
  switch (message.type) {
    case "metrics_update":
      return { ...merged(next, message.metrics), series: extended(state.series, message.points) };
    case "health_update":
      return { ...next, health: message.health };
    case "alert_triggered":
    case "alert_update":
      return { ...next, alerts: upsert(state.alerts, message.alert) };
    case "supervisor_update":
      return { ...next, supervisor: message.supervisor };
    default:
      return next;
  }
}

/** The state after a poll; the chart goes on from the figures, as polls bring no points. */
export function applyPolled(state: State, polled: Polled): State {
  const points: Record<string, readonly EquityPoint[]> = {};
  for (const [bot, figures] of Object.entries(polled.metrics.bots)) {
    if (figures.equity === null || figures.drawdown === null) continue;
    points[bot] = [[Date.parse(figures.at) / 1000, Number(figures.equity), figures.drawdown]];
  }
  return {
    ...merged(state, polled.metrics),
    at: polled.metrics.at,
    bots: polled.metrics.bots,
    portfolio: polled.metrics.portfolio,
    health: polled.health,
    alerts: trim(polled.alerts),
    supervisor: polled.supervisor,
    series: extended(state.series, points),
  };
}

function merged(state: State, update: MetricsUpdate): State {
  // What a bot that joins began with changes all of its portfolio's past.
  const joined = Object.entries(update.bots).filter(([bot]) => !state.bots[bot]);
  const wholes = followed(state.wholes, update.portfolio);
  return {
    ...state,
    bots: { ...state.bots, ...update.bots },
    portfolio: { ...state.portfolio, ...update.portfolio },
    wholes: joined.length ? aged(wholes, joined.map(([, metrics]) => metrics.currency)) : wholes,
    aged: joined.length ? state.aged + 1 : state.aged,
  };
}

function extended(series: State["series"], points: State["series"] | undefined): State["series"] {
  if (!points) return series;
  const next: Record<string, readonly EquityPoint[]> = { ...series };
  for (const [bot, added] of Object.entries(points)) next[bot] = append(next[bot] ?? [], added);
  return next;
}

/** Put a new or changed alert in its place, newest first; a replay never undoes a newer state. */
export function upsert(alerts: readonly Alert[], alert: Alert): readonly Alert[] {
  const known = alerts.find((one) => one.id === alert.id);
  if (known?.updated && alert.updated && Date.parse(known.updated) > Date.parse(alert.updated)) {
    return alerts;
  }
  const others = alerts.filter((one) => one.id !== alert.id);
  const place = others.findIndex((one) => Date.parse(one.opened) <= Date.parse(alert.opened));
  return trim(others.toSpliced(place < 0 ? others.length : place, 0, alert));
}

/** At most ALERTS_MAX, dropping the oldest that is not open before any open one. */
function trim(alerts: readonly Alert[]): readonly Alert[] {
  let next = alerts;
  while (next.length > ALERTS_MAX) {
    const last = next.findLastIndex((one) => one.state !== "open");
    next = next.toSpliced(last < 0 ? next.length - 1 : last, 1);
  }
  return next;
}

/** How many critical alerts nobody has acknowledged or seen resolved. */
export function openCriticals(state: State): number {
  return state.alerts.filter((one) => one.severity === "critical" && one.state === "open").length;
}

// ---------------------------------------------------------------- what is looked at

/** A bot, or the portfolio of one currency. */
export type Selection = `bot:${string}` | `portfolio:${string}`;

export function selections(state: State): readonly Selection[] {
  return [
    ...Object.keys(state.portfolio)
      .sort()
      .map((currency): Selection => `portfolio:${currency}`),
    ...Object.keys(state.bots)
      .sort()
      .map((bot): Selection => `bot:${bot}`),
  ];
}

/** The wish if it still exists; else the only bot, or else the portfolio of the most bots. */
export function selected(state: State, wish: string | null): Selection | null {
  const all = selections(state);
  const bots = all.filter((one) => one.startsWith("bot:"));
  const size = (one: Selection): number => botsIn(state, nameOf(one)).length;
  const fullest = all
    .filter((one) => one.startsWith("portfolio:"))
    .reduce<Selection | undefined>(
      (best, one) => (best && size(best) >= size(one) ? best : one),
      undefined,
    );
  return (
    all.find((one) => one === wish) ?? (bots.length === 1 ? bots[0] : fullest) ?? all[0] ?? null
  );
}

export function botsIn(state: State, currency: string): readonly string[] {
  return Object.keys(state.bots).filter((bot) => state.bots[bot]?.currency === currency);
}

export function nameOf(selection: Selection): string {
  return selection.slice(selection.indexOf(":") + 1);
}

export function metricsOf(state: State, selection: Selection | null): Metrics | null {
  if (!selection) return null;
  const source = selection.startsWith("bot:") ? state.bots : state.portfolio;
  return source[nameOf(selection)] ?? null;
}

export interface Curve {
  readonly points: readonly EquityPoint[];
  /** False where only the equity is known: the drawdown of a sum is not the sum of drawdowns. */
  readonly hasDrawdown: boolean;
}

/** The curve of a bot or of a portfolio; while that is not there, the sum of its bots' equities. */
export function curveOf(state: State, selection: Selection | null): Curve {
  if (!selection) return { points: [], hasDrawdown: false };
  if (selection.startsWith("bot:")) {
    return { points: state.series[nameOf(selection)] ?? [], hasDrawdown: true };
  }
  const own = botsIn(state, nameOf(selection))
    .map((bot) => state.series[bot] ?? [])
    .filter((points) => points.length > 0);
  if (own.length === 1) return { points: own[0] ?? [], hasDrawdown: true };
  const whole = state.wholes[nameOf(selection)];
  if (whole && whole.points.length > 0) return { points: whole.points, hasDrawdown: true };
  return { points: sum(own), hasDrawdown: false };
}
