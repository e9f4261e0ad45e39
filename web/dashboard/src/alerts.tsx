// The alerts, newest first, each with what became of it on every channel.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ago, count, instant } from "./format";
import type { Alert, Delivery, DeliveryState, Severity } from "./messages";

const SHOWN = 20;
const all = signal(false);

const SEVERITIES: Readonly<Record<Severity, { tone: string; mark: string }>> = {
  critical: { tone: "bad", mark: "✕" },
  warning: { tone: "fair", mark: "!" },
  info: { tone: "none", mark: "i" },
};

const DELIVERIES: Readonly<Record<DeliveryState, { tone: string; mark: string }>> = {
  delivered: { tone: "good", mark: "✓" },
  queued: { tone: "none", mark: "…" },
  inflight: { tone: "none", mark: "→" },
  held: { tone: "fair", mark: "‖" },
  parked: { tone: "bad", mark: "✕" },
};

export function Alerts({
  alerts,
  now,
}: {
  readonly alerts: readonly Alert[];
  readonly now: number;
}) {
  if (alerts.length === 0) {
    return (
      <p class="empty" data-testid="alerts">
        No alerts so far.
      </p>
    );
  }
  const linked = alerts.findIndex((alert) => isLinked(alert));
  const shown = all.value || linked >= SHOWN ? alerts : alerts.slice(0, SHOWN);
  return (
    <>
      <ol class="alerts" data-testid="alerts">
        {shown.map((alert) => (
          <li key={alert.id}>
            <One alert={alert} now={now} />
          </li>
        ))}
      </ol>
      {alerts.length > SHOWN && (
        <button type="button" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>
          {all.value ? `Show the newest ${SHOWN} only` : `Show all ${alerts.length}`}
        </button>
      )}
    </>
  );
}

/** Every message names its alert in the address that it gives: #alert-<id>. */
function isLinked(alert: Alert): boolean {
  return location.hash === `#alert-${alert.id}`;
}

function One({ alert, now }: { alert: Alert; now: number }) {
  const { tone, mark } = SEVERITIES[alert.severity] ?? SEVERITIES.info;
  const place = useRef<HTMLElement>(null);
  const linked = isLinked(alert);
  // The browser looked for the address's place before there was any alert.
  useEffect(() => {
    if (linked) place.current?.scrollIntoView({ block: "center" });
  }, [linked]);
  return (
    <article
      ref={place}
      id={`alert-${alert.id}`}
      class={`alert tone-${tone} is-${alert.state}${linked ? " is-linked" : ""}`}
      data-testid={`alert-${alert.id}`}
    >
      <header>
        <span class={`badge tone-${tone}`}>
          <span aria-hidden="true">{mark}</span> {alert.severity}
        </span>
        <h3>{alert.title}</h3>
        <span class="state">{alert.state}</span>
      </header>
      <p class="note">
        {alert.bot && `${alert.bot} · `}
        <time dateTime={alert.opened} title={ago(alert.opened, now)}>
          {instant(alert.opened)}
        </time>
        {alert.closed && ` · closed ${instant(alert.closed)}`}
        {alert.suppressed > 0 && ` · ${count(alert.suppressed, "repeat")} suppressed`}
        {alert.silenced && ` · silenced: ${alert.silenced}`}
      </p>
      {alert.text && <p class="text">{alert.text}</p>}
      <Facts facts={alert.facts} />
      <Deliveries alert={alert} />
    </article>
  );
}

function Facts({ facts }: { facts: Alert["facts"] }) {
  if (facts.length === 0) return null;
  return (
    <details>
      <summary>{count(facts.length, "fact")}</summary>
      <dl class="facts">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** One line for each channel; a channel may carry the alert, its reminder and its end. */
function Deliveries({ alert }: { alert: Alert }) {
  const channels = [...new Set(alert.deliveries.map((delivery) => delivery.channel))];
  if (channels.length === 0) return <p class="note">Sent to no channel.</p>;
  return (
    <ul class="deliveries" aria-label="Deliveries">
      {channels.map((channel) => (
        <li key={channel} data-testid={`delivery-${alert.id}-${channel}`}>
          <b>{channel}</b>
          {alert.deliveries
            .filter((delivery) => delivery.channel === channel)
            .map((delivery, number) => (
              <Sent key={number} delivery={delivery} />
            ))}
        </li>
      ))}
    </ul>
  );
}

function Sent({ delivery }: { delivery: Delivery }) {
  const { tone, mark } = DELIVERIES[delivery.state] ?? DELIVERIES.queued;
  const when = delivery.state === "delivered" ? delivery.updated : delivery.due;
  return (
    <span class="sent">
      <span class={`word tone-${tone}`}>
        <span aria-hidden="true">{mark}</span>{" "}
        {delivery.kind === "fired" ? "" : `${delivery.kind} `}
        {delivery.state}
      </span>
      , {count(delivery.attempts, "attempt")}
      {when && (
        <small> {delivery.state === "delivered" ? instant(when) : `due ${instant(when)}`}</small>
      )}
      {delivery.detail && <small> {delivery.detail}</small>}
    </span>
  );
}
