// Is it safe: the level and its reasons, each bot's safety controls, and the exchange APIs.

import { age, ago, count, instant, number, occupied, UNDEFINED } from "./format";
import type { ApiHealth, BotHealth, Health, Level, PositionState } from "./messages";

const LEVELS: Readonly<Record<Level, { tone: string; mark: string }>> = {
  HEALTHY: { tone: "good", mark: "✓" },
  DEGRADED: { tone: "fair", mark: "!" },
  CRITICAL: { tone: "bad", mark: "✕" },
};

type Bots = readonly (readonly [name: string, health: BotHealth])[];

interface Props {
  readonly health: Health;
  /** The bots that are looked at. The level, kill switch and breaker are of all: no danger hides. */
  readonly scope: readonly string[];
  readonly now: number;
}

export function SystemHealth({ health, scope, now }: Props) {
  const all = Object.entries(health.bots);
  const bots = all.filter(([name]) => scope.includes(name));
  return (
    <>
      <Badge level={health.level} testid="health-level" />
      {health.reasons.length > 0 && (
        <ul class="reasons" data-testid="health-reasons">
          {health.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      <div class="controls">
        <KillSwitch bots={all} />
        <Breaker bots={all} now={now} />
        <Positions bots={bots} />
      </div>
      <Bots bots={bots} now={now} />
      <Apis apis={health.apis} now={now} />
    </>
  );
}

function Badge({ level, testid }: { level: Level; testid?: string }) {
  const { tone, mark } = LEVELS[level] ?? { tone: "none", mark: "?" };
  return (
    <p class={`badge tone-${tone}`} data-testid={testid}>
      <span aria-hidden="true">{mark}</span> {level}
    </p>
  );
}

const EARLIER = " (stamped before what was told last: late, or the bot's clock was set back)";

function KillSwitch({ bots }: { bots: Bots }) {
  const active = bots.filter(([, bot]) => bot.kill_switch.active);
  const word = bots.length === 0 ? "UNKNOWN" : active.length > 0 ? "ACTIVE" : "INACTIVE";
  return (
    <Control title="Kill switch" testid="kill-switch" word={word} bad={active.length > 0}>
      {active.map(([name, { kill_switch: on }]) => (
        <li key={name}>
          <b>{name}</b>: {on.reason || "no reason given"}
          {on.since && `, since ${instant(on.since)}`}
          {on.out_of_order && EARLIER}
        </li>
      ))}
    </Control>
  );
}

function Breaker({ bots, now }: { bots: Bots; now: number }) {
  const open = bots.filter(([, bot]) => bot.circuit_breaker.open);
  const word = bots.length === 0 ? "UNKNOWN" : open.length > 0 ? "OPEN" : "CLOSED";
  return (
    <Control title="Circuit breaker" testid="breaker" word={word} bad={open.length > 0}>
      {open.map(([name, { circuit_breaker: breaker }]) => (
        <li key={name}>
          <b>{name}</b>: {breaker.reason || "no reason given"}
          {breaker.since && `, since ${instant(breaker.since)}`}
          {breaker.out_of_order && EARLIER}
          {breaker.until &&
            Date.parse(breaker.until) > now &&
            `, closes in ${age(Date.parse(breaker.until) - now)}`}
        </li>
      ))}
    </Control>
  );
}

interface ControlProps {
  readonly title: string;
  readonly testid: string;
  readonly word: string;
  readonly bad: boolean;
  readonly children: preact.ComponentChildren;
}

function Control({ title, testid, word, bad, children }: ControlProps) {
  const tone = bad ? "bad" : word === "UNKNOWN" ? "none" : "good";
  return (
    <section class={`control tone-${tone}`} data-testid={testid}>
      <h3>{title}</h3>
      <p class="word">
        <span aria-hidden="true">{bad ? "✕" : tone === "good" ? "✓" : "?"}</span> {word}
      </p>
      {bad && <ul>{children}</ul>}
    </section>
  );
}

function Positions({ bots }: { bots: Bots }) {
  const tones = bots.map(([, bot]) => usage(bot.positions).tone);
  const worst = (["bad", "fair", "good"] as const).find((tone) => tones.includes(tone)) ?? "none";
  return (
    <section class={`control tone-${worst}`} data-testid="positions">
      <h3>Positions</h3>
      {bots.length === 0 && <p class="word">UNKNOWN</p>}
      {bots.map(([name, bot]) => (
        <PositionBar key={name} name={bots.length > 1 ? name : ""} positions={bot.positions} />
      ))}
    </section>
  );
}

function usage({ utilization }: PositionState): { tone: string; word: string } {
  if (utilization === null) return { tone: "none", word: "" };
  if (utilization >= 1) return { tone: "bad", word: ", at the limit" };
  return utilization >= 0.8
    ? { tone: "fair", word: ", near the limit" }
    : { tone: "good", word: "" };
}

function PositionBar({ name, positions: p }: { name: string; positions: PositionState }) {
  const { tone, word } = usage(p);
  return (
    <div class={`positions tone-${tone}`}>
      <p class="word">
        {name && <b>{name} </b>}
        {occupied(p)}
        {word}
      </p>
      {p.open !== null && p.limit > 0 && (
        <progress
          max={p.limit}
          value={Math.min(p.open, p.limit)}
          aria-label={`Positions ${name}`}
        />
      )}
      {p.last_rejection && (
        <p class="note">
          last refused: {p.last_rejection}
          {p.last_rejection_at && ` (${instant(p.last_rejection_at)})`}
        </p>
      )}
    </div>
  );
}

function Bots({ bots, now }: { bots: Bots; now: number }) {
  return (
    <ul class="bots" data-testid="bots">
      {bots.map(([name, bot]) => (
        <li key={name} data-testid={`bot-${name}`}>
          <Badge level={bot.level} />
          <div>
            <b>{name}</b> <Signs bot={bot} now={now} />
            {bot.reasons.length > 0 && <p class="note">{bot.reasons.join("; ")}</p>}
          </div>
        </li>
      ))}
    </ul>
  );
}

function Signs({ bot, now }: { bot: BotHealth; now: number }) {
  return (
    <span>
      {bot.silent && <strong class="tone-bad">SILENT, </strong>}
      {bot.last_seen ? `last seen ${ago(bot.last_seen, now)}` : "not seen yet"}
      {bot.state && `, says “${bot.state}”`}
      {bot.api_errors_per_minute > 0 &&
        `, ${count(bot.api_errors_per_minute, "API error")} a minute`}
    </span>
  );
}

function Apis({ apis, now }: { apis: Health["apis"]; now: number }) {
  const all = Object.entries(apis);
  if (all.length === 0) return <p class="note">No exchange API is being watched.</p>;
  return (
    <table class="apis">
      <caption>Exchange APIs</caption>
      <thead>
        <tr>
          <th scope="col">API</th>
          <th scope="col">State</th>
          <th scope="col">Latency</th>
          <th scope="col">Checked</th>
        </tr>
      </thead>
      <tbody>
        {all.map(([name, api]) => (
          <Api key={name} name={name} api={api} now={now} />
        ))}
      </tbody>
    </table>
  );
}

function Api({ name, api, now }: { name: string; api: ApiHealth; now: number }) {
  const tone = api.connected === null ? "none" : api.connected ? "good" : "bad";
  const word = { none: "? NOT CHECKED", good: "✓ CONNECTED", bad: "✕ DISCONNECTED" }[tone];
  return (
    <tr data-testid={`api-${name}`}>
      <th scope="row">{name}</th>
      <td>
        <span class={`tone-${tone} word`}>{word}</span>
        {api.detail && <small> {api.detail}</small>}
        {api.failures > 0 && <small> ({count(api.failures, "failure")} in a row)</small>}
      </td>
      <td>{api.latency_ms === null ? UNDEFINED : `${number(api.latency_ms, 0)} ms`}</td>
      <td>{api.checked_at === null ? UNDEFINED : ago(api.checked_at, now)}</td>
    </tr>
  );
}
