// Says when the figures are not live: in the header as one word, in the banner as a sentence.

import { age, instant } from "./format";
import { link, now, state, assessment } from "./store";

const SYMBOLS = {
  connecting: "◌",
  live: "●",
  stale: "■",
  reconnecting: "◌",
  polling: "◐",
  unreachable: "✕",
} as const;

export function Connection() {
  const { condition, word } = assessment.value;
  return (
    <p class={`connection is-${condition}`} data-testid="connection" data-condition={condition}>
      <span aria-hidden="true">{SYMBOLS[condition]}</span> {word}
    </p>
  );
}

/** The live region stays in the page while empty: readers announce only what changes inside one. */
export function Banner() {
  const { text, urgent } = assessment.value;
  return (
    <div
      class={`banner ${text ? (urgent ? "is-urgent" : "is-mild") : "is-absent"}`}
      data-testid="banner"
    >
      <p class="banner-text" role="status" aria-live={urgent ? "assertive" : "polite"}>
        {text}
      </p>
      {text && <Age />}
    </div>
  );
}

/** Ticks every second, so it stands outside the live region. */
function Age() {
  const { heardAt, retryAt } = link.value;
  const { at } = state.value;
  const wait = retryAt === null ? 0 : retryAt - now.value;
  return (
    <p class="banner-age" data-testid="figures-age">
      {heardAt === null ? "No figures yet." : `Figures ${age(now.value - heardAt)} old`}
      {heardAt !== null && at !== null && ` (as of ${instant(at)})`}
      {wait > 0 && `; next try in ${age(wait + 999)}`}
    </p>
  );
}
