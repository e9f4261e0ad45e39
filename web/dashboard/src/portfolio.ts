// The curve of a portfolio: the sidecar works it out, as a sum of the bots' curves has no drawdown.

import type { EquityPoint } from "./messages";
import { botsIn, nameOf, type Selection, type State } from "./state";
import type { World } from "./world";

export const RETRY_MS = 10_000;

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
