// The figures of one bot or portfolio: five cards, and a row of details below them.

import type { ComponentChildren } from "preact";
import {
  breakEven,
  count,
  MARKS,
  money,
  number,
  percent,
  type Rating,
  rateDrawdown,
  ratePnl,
  rateSharpe,
  rateWinRate,
  UNDEFINED,
} from "./format";
import type { Metrics } from "./messages";

interface CardProps {
  readonly id: string;
  readonly title: string;
  readonly rating: Rating;
  readonly figure: string;
  /** Why the figure is undefined; shown instead of the notes. */
  readonly reason?: string | undefined;
  readonly aside?: string;
  readonly children?: ComponentChildren;
}

function Card({ id, title, rating, figure, reason, aside, children }: CardProps) {
  const [amount, unit] = figure.split(" ");
  return (
    <section class={`card tone-${rating.tone}`} data-testid={`card-${id}`} data-tone={rating.tone}>
      <h3>{title}</h3>
      <p class="figure">
        <span class="value">{amount}</span>
        {unit && <span class="aside"> {unit}</span>}
        {aside && <span class="aside"> {aside}</span>}
      </p>
      {rating.word && (
        <p class="rating">
          <span aria-hidden="true">{MARKS[rating.tone]}</span> {rating.word}
        </p>
      )}
      <p class="note">{figure === UNDEFINED ? (reason ?? "not known yet") : children}</p>
    </section>
  );
}

export function Cards({ metrics: m }: { readonly metrics: Metrics }) {
  const why = m.undefined;
  const needed = breakEven(m);
  return (
    <div class="cards">
      <Card
        id="sharpe"
        title="Sharpe ratio"
        rating={rateSharpe(m)}
        figure={number(m.sharpe)}
        aside={m.sharpe !== null && m.sharpe_stderr !== null ? `± ${number(m.sharpe_stderr)}` : ""}
        reason={why["sharpe"]}
      >
        {count(m.days, "day")} of returns, annualised
      </Card>
      <Card
        id="drawdown"
        title="Drawdown"
        rating={rateDrawdown(m.drawdown)}
        figure={percent(m.drawdown)}
        reason={why["drawdown"]}
      >
        max {percent(m.max_drawdown)}
        {m.max_drawdown_abs !== null && ` (${money(m.max_drawdown_abs, m.currency)})`}
      </Card>
      <Card
        id="win-rate"
        title="Win rate"
        rating={rateWinRate(m)}
        figure={percent(m.win_rate)}
        reason={why["win_rate"]}
      >
        {count(m.trades, "trade")}
        {needed !== null && `, break-even at ${percent(needed)}`}
      </Card>
      <Card
        id="pnl-total"
        title="Total P&L"
        rating={ratePnl(m.pnl_total)}
        figure={money(m.pnl_total, m.currency, "exceptZero")}
      >
        {m.equity === null ? "net of fees" : `equity ${money(m.equity, m.currency)}`}
      </Card>
      <Card
        id="pnl-today"
        title="Today's P&L"
        rating={ratePnl(m.pnl_today)}
        figure={money(m.pnl_today, m.currency, "exceptZero")}
      >
        this week {money(m.pnl_week, m.currency, "exceptZero")}
      </Card>
    </div>
  );
}

type Row = readonly [label: string, value: string, field?: string];

export function rows(m: Metrics): readonly Row[] {
  return [
    ["Trades", `${m.wins} won, ${m.losses} lost, ${m.draws} even`],
    ["Profit factor", number(m.profit_factor), "profit_factor"],
    ["Expectancy", money(m.expectancy, m.currency, "exceptZero"), "expectancy"],
    ["SQN", number(m.sqn), "sqn"],
    ["Sortino", number(m.sortino), "sortino"],
    ["Calmar", number(m.calmar), "calmar"],
    ["CAGR", percent(m.cagr, "exceptZero"), "cagr"],
    ["Streak", streak(m.streak)],
    ["Longest streaks", `${m.longest_win_streak} won, ${m.longest_loss_streak} lost`],
    ["Average win", money(m.avg_win, m.currency), "avg_win"],
    ["Average loss", money(m.avg_loss, m.currency), "avg_loss"],
    ["Fees", money(m.fees_total, m.currency)],
  ];
}

export function rollingRows({ rolling: r, currency }: Metrics): readonly Row[] {
  return [
    ["Win rate", percent(r.win_rate), "rolling.win_rate"],
    [
      "Sharpe",
      r.sharpe_stderr === null
        ? number(r.sharpe)
        : `${number(r.sharpe)} ± ${number(r.sharpe_stderr)}`,
      "rolling.sharpe",
    ],
    ["Sortino", number(r.sortino), "rolling.sortino"],
    ["Calmar", number(r.calmar), "rolling.calmar"],
    ["Profit factor", number(r.profit_factor), "rolling.profit_factor"],
    ["Expectancy", money(r.expectancy, currency, "exceptZero"), "rolling.expectancy"],
    ["SQN", number(r.sqn), "rolling.sqn"],
    ["Max drawdown", percent(r.max_drawdown), "rolling.max_drawdown"],
  ];
}

function streak(n: number): string {
  if (n === 0) return "none";
  return n > 0 ? `${count(n, "win")} in a row` : count(-n, "loss", "losses") + " in a row";
}

export function Details({ metrics: m }: { readonly metrics: Metrics }) {
  return (
    <div class="details" data-testid="details">
      <h3>In detail</h3>
      <Figures rows={rows(m)} reasons={m.undefined} />
      <h3>Over the last {count(m.rolling.trades, "trade")}</h3>
      <Figures rows={rollingRows(m)} reasons={m.undefined} />
    </div>
  );
}

/** Why a row has no figure; empty where it has one. */
export function reasonOf([, value, field]: Row, reasons: Metrics["undefined"]): string {
  return (value === UNDEFINED && field && reasons[field]) || "";
}

function Figures({ rows: all, reasons }: { rows: readonly Row[]; reasons: Metrics["undefined"] }) {
  return (
    <dl class="figures">
      {all.map((row) => {
        const [label, value] = row;
        const reason = reasonOf(row, reasons);
        return (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              {value}
              {reason && <small> {reason}</small>}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
