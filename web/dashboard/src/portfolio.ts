// The curve of a portfolio: the sidecar works it out, as a sum of the bots' curves has no drawdown.

import type { EquityPoint, Metrics } from "./messages";
import type { World } from "./live";
import { append, botsIn, nameOf, type Selection, type State } from "./state";

export const RETRY_MS = 10_000;

/** A portfolio's own curve. Not `fresh`: shown until it has been asked for again. */
export interface Whole {
  readonly points: readonly EquityPoint[];
  readonly fresh: boolean;
}

export type Wholes = Readonly<Record<string, Whole>>;

/** The currency to ask for: looked at, of several bots, and without a curve that is up to date. */
export function lacking(state: State, selection: Selection | null): string | null {
  if (!selection?.startsWith("portfolio:")) return null;
  const currency = nameOf(selection);
  return botsIn(state, currency).length > 1 && !state.wholes[currency]?.fresh ? currency : null;
}

export function pathOf(currency: string): string {
  return `/api/v1/metrics/history?currency=${encodeURIComponent(currency)}&points=500`;
}

/** What GET /api/v1/metrics/history answers, as far as the page looks at it. */
export interface Answer {
  readonly portfolio: Readonly<Record<string, { readonly points: readonly EquityPoint[] }>>;
}

/** The state with a curve that was asked for when curves had become old `asked` times. */
export function loaded(state: State, currency: string, answer: Answer, asked = state.aged): State {
  const points = answer.portfolio[currency]?.points ?? [];
  const whole = { points, fresh: state.aged === asked };
  return { ...state, wholes: { ...state.wholes, [currency]: whole } };
}

/** Asks for one curve of a currency at a time; a failure is asked again after RETRY_MS. */
export class Curves {
  #asked = new Set<string>();

  constructor(
    readonly world: Pick<World, "get" | "after">,
    /** Reads and changes the state. */
    readonly state: { value: State },
    /** Called when there may be something to ask for again. */
    readonly again: () => void,
  ) {}

  ask(currency: string): void {
    if (this.#asked.has(currency)) return;
    this.#asked.add(currency);
    const { aged } = this.state.value;
    const over = (): void => {
      this.#asked.delete(currency);
      this.again();
    };
    void this.world.get(pathOf(currency)).then(
      (answer) => {
        this.state.value = loaded(this.state.value, currency, answer as Answer, aged);
        over();
      },
      () => this.world.after(RETRY_MS, over),
    );
  }
}

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
