// The curves of portfolios that are known: how they age, and how new figures prolong them.

import type { EquityPoint, Metrics } from "./messages";
import { append } from "./points";

/** A portfolio's own curve. Not `fresh`: shown until it has been asked for again. */
export interface Whole {
  readonly points: readonly EquityPoint[];
  readonly fresh: boolean;
}

export type Wholes = Readonly<Record<string, Whole>>;

/** Every curve as it is, to be asked for again: something may have happened in between. */
export function aged(wholes: Wholes, currencies = Object.keys(wholes)): Wholes {
  const old = Object.entries(wholes).filter(([currency]) => currencies.includes(currency));
  return {
    ...wholes,
    ...Object.fromEntries(old.map(([currency, whole]) => [currency, { ...whole, fresh: false }])),
  };
}

/** The curves that are known, each with the newest figures of its portfolio as a point. */
export function followed(wholes: Wholes, portfolio: Readonly<Record<string, Metrics>>): Wholes {
  const next: Record<string, Whole> = { ...wholes };
  for (const [currency, figures] of Object.entries(portfolio)) {
    const whole = next[currency];
    if (!whole || figures.equity === null) continue;
    const point: EquityPoint = [
      Date.parse(figures.at) / 1000,
      Number(figures.equity),
      figures.drawdown ?? 0,
    ];
    next[currency] = { ...whole, points: append(whole.points, [point]) };
  }
  return next;
}
