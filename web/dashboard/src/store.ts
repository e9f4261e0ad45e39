// The page's signals: the state as the messages left it, the connection, and the clock.

import { computed, signal } from "@preact/signals";
import { assess, type Link, NEW_LINK } from "./link";
import { curveOf, EMPTY, metricsOf, selected, type State } from "./state";

const WISH = "sidewatch.selection";

export const state = signal<State>(EMPTY);
export const link = signal<Link>(NEW_LINK);
/** Unix milliseconds, moved on every second: ages and staleness follow it. */
export const now = signal(Date.now());
/** The newest alert in words, for screen readers. */
export const announcement = signal("");

const wish = signal(remembered());

export const selection = computed(() => selected(state.value, wish.value));
export const metrics = computed(() => metricsOf(state.value, selection.value));
export const curve = computed(() => curveOf(state.value, selection.value));
export const assessment = computed(() => assess(link.value, now.value));

/** Look at another bot or portfolio, on the next visit too where the browser remembers. */
export function select(choice: string): void {
  wish.value = choice;
  try {
    localStorage.setItem(WISH, choice);
  } catch {
    // Storage may be switched off; the choice then lasts as long as the page.
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(WISH);
  } catch {
    return null;
  }
}
