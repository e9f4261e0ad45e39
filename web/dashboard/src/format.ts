// How figures read: two decimals, percent, money, ages and UTC instants, and how good they are.

import type { Metrics, PositionState } from "./messages";

export const UNDEFINED = "—";
const LOCALE = "en-US";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

type Sign = "negative" | "exceptZero";
type Options = Intl.NumberFormatOptions & { signDisplay: Sign };

export function number(value: number | null | undefined, digits = 2): string {
  if (value === null || value === undefined) return UNDEFINED;
  return new Intl.NumberFormat(LOCALE, fixed(digits)).format(value);
}

export function percent(fraction: number | null | undefined, sign: Sign = "negative"): string {
  if (fraction === null || fraction === undefined) return UNDEFINED;
  const options = { ...fixed(2), style: "percent", signDisplay: sign } as const;
  return new Intl.NumberFormat(LOCALE, options).format(fraction);
}

/**
 * Money of a decimal string, which keeps its exact digits. A code that is no ISO currency (USDT)
 * follows the number; an amount too small for two decimals keeps two significant digits.
 */
export function money(
  amount: string | null | undefined,
  currency: string,
  sign: Sign = "negative",
): string {
  if (amount === null || amount === undefined) return UNDEFINED;
  const value = Number(amount);
  const tiny = value !== 0 && Math.abs(value) < 0.005;
  const digits: Options = tiny
    ? { maximumSignificantDigits: 2, signDisplay: sign }
    : { ...fixed(2), signDisplay: sign };
  // Intl reads decimal strings exactly; TypeScript's own types know numbers only.
  const exact = amount as unknown as number;
  if (!isIsoCurrency(currency)) {
    return `${new Intl.NumberFormat(LOCALE, digits).format(exact)} ${currency}`;
  }
  const options = {
    ...digits,
    style: "currency",
    currency,
    currencyDisplay: "narrowSymbol",
  } as const;
  return new Intl.NumberFormat(LOCALE, options).format(exact);
}

function fixed(digits: number): Options {
  return { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" };
}

function isIsoCurrency(code: string): boolean {
  return Intl.supportedValuesOf("currency").includes(code);
}

/** `2 / 5 open (40.00%)`; what the bot has not told of is not reported, never 0. */
export function occupied({ open, limit, utilization }: PositionState): string {
  if (open === null) return limit > 0 ? `not reported, limit ${limit}` : "not reported";
  if (limit === 0) return `${open} open, no limit known`;
  return `${open} / ${limit} open (${percent(utilization)})`;
}

/** `1 trade`, `2 trades`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${new Intl.NumberFormat(LOCALE).format(n)} ${n === 1 ? one : many}`;
}

/** A length of time in its two largest units at most: `7 s`, `4 min`, `3 h 05 min`, `2 d 4 h`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `24 Nov 2026 08:21:03 UTC` of an RFC 3339 instant or of unix milliseconds. */
export function instant(at: string | number | null | undefined): string {
  if (at === null || at === undefined) return UNDEFINED;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return UNDEFINED;
  return `${day(date)} ${date.getUTCFullYear()} ${date.toISOString().slice(11, 19)} UTC`;
}

/** `4 min ago`; `just now` below two seconds, and for a clock that runs ahead of ours. */
export function ago(at: string, now: number): string {
  const ms = now - Date.parse(at);
  return ms < 2_000 ? "just now" : `${age(ms)} ago`;
}

/** An axis label, 24-hour clock in UTC; `step_s` is the distance of two labels. */
export function axisTime(t: number, step_s: number): string {
  const date = new Date(t * 1000);
  const clock = date.toISOString().slice(11, step_s < 60 ? 19 : 16);
  return step_s >= 86_400 || t % 86_400 === 0 ? day(date) : clock;
}

function day(date: Date): string {
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}

// ---------------------------------------------------------------- how good

/** The colour of a figure, never without its word. */
export type Tone = "good" | "fair" | "bad" | "none";

export interface Rating {
  readonly tone: Tone;
  readonly word: string;
}

export const MARKS: Readonly<Record<Tone, string>> = { good: "▲", fair: "◆", bad: "▼", none: "" };

const UNRATED: Rating = { tone: "none", word: "" };

/** Above 1 is good, unless its standard error reaches below zero. */
export function rateSharpe({
  sharpe,
  sharpe_stderr,
}: Pick<Metrics, "sharpe" | "sharpe_stderr">): Rating {
  if (sharpe === null) return UNRATED;
  if (sharpe < 0) return { tone: "bad", word: "negative" };
  if (sharpe_stderr !== null && sharpe < sharpe_stderr) return { tone: "fair", word: "uncertain" };
  return sharpe >= 1 ? { tone: "good", word: "good" } : { tone: "fair", word: "modest" };
}

export function rateDrawdown(drawdown: number | null): Rating {
  if (drawdown === null) return UNRATED;
  if (drawdown < 0.05) return { tone: "good", word: drawdown === 0 ? "at the peak" : "small" };
  return drawdown < 0.1 ? { tone: "fair", word: "watch" } : { tone: "bad", word: "deep" };
}

type Won = Pick<Metrics, "trades" | "draws" | "avg_win" | "avg_loss">;

/**
 * The win rate at which wins just pay for losses: average loss / (average win + average loss), of
 * the trades that are no draw. A draw counts in the win rate, and neither pays nor costs.
 */
export function breakEven({ trades, draws, avg_win, avg_loss }: Won): number | null {
  if (avg_win === null || avg_loss === null) return null;
  const [win, loss] = [Math.abs(Number(avg_win)), Math.abs(Number(avg_loss))];
  return win + loss > 0 ? ((loss / (win + loss)) * (trades - draws)) / trades : null;
}

/** Against break-even where that is known, since a trend follower may well live on 35 %. */
export function rateWinRate(metrics: Won & Pick<Metrics, "win_rate">): Rating {
  const { win_rate, avg_win, avg_loss } = metrics;
  if (win_rate === null) return UNRATED;
  const needed = breakEven(metrics);
  if (needed === null) {
    if (avg_win !== null) return { tone: "good", word: "no loss" };
    return avg_loss !== null ? { tone: "bad", word: "no win" } : { tone: "fair", word: "even" };
  }
  if (win_rate < needed) return { tone: "bad", word: "below break-even" };
  return win_rate < needed + 0.05
    ? { tone: "fair", word: "near break-even" }
    : { tone: "good", word: "above break-even" };
}

export function ratePnl(amount: string): Rating {
  const value = Number(amount);
  if (value === 0) return { tone: "fair", word: "flat" };
  return value > 0 ? { tone: "good", word: "profit" } : { tone: "bad", word: "loss" };
}
