// The page: logs in, keeps the signals fed, and lays out what they hold.

import { effect, signal } from "@preact/signals";
import { render } from "preact";
import { Actors } from "./actors";
import { Alerts } from "./alerts";
import { Banner, Connection } from "./banner";
import { Cards, Details } from "./cards";
import { Chart } from "./chart";
import { SystemHealth } from "./health";
import { Live } from "./live";
import { Login } from "./login";
import { Curves, lacking } from "./portfolio";
import { login, tokenIn } from "./session";
import { apply, applyPolled, nameOf, openCriticals, type Selection, selections } from "./state";
import * as store from "./store";
import { BROWSER } from "./world";

const problem = signal("");

const live = new Live(BROWSER, {
  seq: () => store.state.value.seq,
  message(message) {
    store.state.value = apply(store.state.value, message);
    store.now.value = Date.now();
    if (message.type !== "alert_triggered") return;
    store.announcement.value = `New ${message.alert.severity} alert: ${message.alert.title}`;
  },
  polled(polled) {
    store.state.value = applyPolled(store.state.value, polled);
  },
  link(link) {
    store.link.value = link;
  },
});

/** Trade the token in the address for a cookie, and take it out of the address and the history. */
async function enter(): Promise<void> {
  const token = tokenIn(location.hash);
  if (token === null) return live.start();
  history.replaceState(null, "", location.pathname + location.search);
  problem.value = (await login(token)) ?? "";
  live.start();
}

/** Ask for the curve of the portfolio that is looked at; its sum is shown until it is there. */
const turn = signal(0);
const curves = new Curves(BROWSER, store.state, () => {
  turn.value += 1;
});
effect(() => {
  turn.value; // a failure and an answer that was old are asked again, whatever else happens
  const currency = lacking(store.state.value, store.selection.value);
  if (currency !== null) curves.ask(currency);
});

function App() {
  if (store.link.value.phase === "locked") {
    return <Login problem={problem.value} onLogin={() => live.start()} />;
  }
  const { condition } = store.assessment.value;
  const old = condition === "stale" || condition === "unreachable";
  return (
    <>
      <Header />
      <Banner />
      <p class="visually-hidden" role="alert">
        {store.announcement.value}
      </p>
      <main class={old ? "is-old" : ""}>
        <Performance />
        <Section id="health" title="System health">
          <Health />
        </Section>
        <Section id="alerts" title="Alerts">
          <Alerts alerts={store.state.value.alerts} now={store.now.value} />
        </Section>
        <Section id="actors" title="Actors">
          {store.state.value.supervisor ? (
            <Actors status={store.state.value.supervisor} />
          ) : (
            <p class="empty">Waiting for the sidecar.</p>
          )}
        </Section>
      </main>
    </>
  );
}

function Header() {
  const open = openCriticals(store.state.value);
  return (
    <header class="top">
      <h1>Sidewatch</h1>
      <Connection />
      {open > 0 && (
        <a class="open-criticals" href="#alerts" data-testid="open-criticals">
          {open} critical open
        </a>
      )}
      <Selector />
    </header>
  );
}

function Selector() {
  const choices = selections(store.state.value);
  if (choices.length === 0) return null;
  const group = (kind: "portfolio" | "bot", label: (name: string) => string) =>
    choices
      .filter((choice) => choice.startsWith(`${kind}:`))
      .map((choice: Selection) => (
        <option key={choice} value={choice} selected={choice === store.selection.value}>
          {label(nameOf(choice))}
        </option>
      ));
  return (
    <label class="selector">
      <span>Show</span>
      <select data-testid="selector" onChange={(event) => store.select(event.currentTarget.value)}>
        {group("portfolio", (currency) => `Portfolio (${currency})`)}
        {group("bot", (bot) => bot)}
      </select>
    </label>
  );
}

function Section({
  id,
  title,
  children,
}: {
  id: string;
  title: string;
  children: preact.ComponentChildren;
}) {
  return (
    <section id={id} class="panel" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

function Performance() {
  const metrics = store.metrics.value;
  return (
    <Section id="performance" title="Performance">
      {metrics ? (
        <>
          <Cards metrics={metrics} />
          <Chart curve={store.curve.value} currency={metrics.currency} />
          <Details metrics={metrics} />
        </>
      ) : (
        <p class="empty">
          {store.state.value.at === null ? "Waiting for the sidecar." : "No bot has reported yet."}
        </p>
      )}
    </Section>
  );
}

function Health() {
  const { health, bots } = store.state.value;
  if (!health) return <p class="empty">Waiting for the sidecar.</p>;
  const choice = store.selection.value;
  // A bot may be known by its heartbeat only: without figures it belongs to no portfolio.
  const scope = choice?.startsWith("bot:")
    ? [nameOf(choice)]
    : Object.keys(health.bots).filter(
        (bot) => !choice || !bots[bot] || bots[bot].currency === nameOf(choice),
      );
  return <SystemHealth health={health} scope={scope} now={store.now.value} />;
}

effect(() => {
  const open = openCriticals(store.state.value);
  document.title = open > 0 ? `(${open}) Sidewatch` : "Sidewatch";
});

setInterval(() => {
  store.now.value = Date.now();
}, 1000);
addEventListener("hashchange", () => {
  if (tokenIn(location.hash) !== null) void enter();
});
addEventListener("online", () => live.retry());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) live.retry();
});

const root = document.getElementById("app");
if (root) render(<App />, root);
void enter();
