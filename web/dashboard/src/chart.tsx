// Equity above drawdown, on one UTC time axis; the same in numbers for those who cannot see it.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { axisTime, instant, money, percent } from "./format";
import type { EquityPoint } from "./messages";
import { spans } from "./points";
import type { Curve } from "./state";

const AXIS_WIDTH = 68;
const HEIGHTS = { equity: 240, drawdown: 130 } as const;

interface Props {
  readonly curve: Curve;
  readonly currency: string;
}

export function Chart({ curve, currency }: Props) {
  const { points, hasDrawdown } = curve;
  if (!spans(points)) {
    return <p class="empty">The chart begins with the second equity report.</p>;
  }
  return (
    <figure class="chart" data-testid="chart">
      <Plots curve={curve} currency={currency} />
      {!hasDrawdown && (
        <figcaption class="note">
          The bots' equities added up, until the portfolio's own curve is here.
        </figcaption>
      )}
      <Summary curve={curve} currency={currency} />
    </figure>
  );
}

function Plots({ curve, currency }: Props) {
  const { points, hasDrawdown } = curve;
  const equity = useRef<HTMLDivElement>(null);
  const drawdown = useRef<HTMLDivElement>(null);
  const plots = useRef<readonly uPlot[]>([]);
  const [at, setAt] = useState<number | null>(null);
  const theme = useTheme();

  // uPlot draws into its own nodes, so a theme or another currency means building it anew.
  useEffect(() => {
    const css = getComputedStyle(document.documentElement);
    const colour = (name: string): string => css.getPropertyValue(name).trim();
    const look = { colour, onCursor: setAt };
    const made: uPlot[] = [];
    if (equity.current) made.push(equityPlot(equity.current, look));
    if (drawdown.current) made.push(drawdownPlot(drawdown.current, look));
    plots.current = made;
    const fit = new ResizeObserver(() => made.forEach(resize));
    if (equity.current) fit.observe(equity.current);
    return () => {
      fit.disconnect();
      made.forEach((plot) => plot.destroy());
      plots.current = [];
    };
  }, [theme, currency, hasDrawdown]);

  useEffect(() => {
    const times = points.map((point) => point[0]);
    plots.current[0]?.setData([times, points.map((point) => point[1])]);
    plots.current[1]?.setData([times, points.map((point) => -point[2])]);
  }, [points, theme, currency, hasDrawdown]);

  const shown = points[at ?? points.length - 1] ?? points.at(-1);
  return (
    <>
      {shown && <Readout point={shown} currency={currency} hasDrawdown={hasDrawdown} />}
      <div class="plot" ref={equity} role="img" aria-label={`Equity in ${currency} over time`} />
      {hasDrawdown && (
        <div class="plot" ref={drawdown} role="img" aria-label="Drawdown over time" />
      )}
    </>
  );
}

function Readout({
  point,
  currency,
  hasDrawdown,
}: { point: EquityPoint } & Omit<Props, "curve"> & { hasDrawdown: boolean }) {
  return (
    <p class="readout">
      <span>{instant(point[0] * 1000)}</span>
      <span>
        <span class="swatch is-equity" aria-hidden="true" /> equity{" "}
        {money(String(point[1]), currency)}
      </span>
      {hasDrawdown && (
        <span>
          <span class="swatch is-drawdown" aria-hidden="true" /> drawdown {percent(point[2])}
        </span>
      )}
    </p>
  );
}

interface Look {
  readonly colour: (name: string) => string;
  readonly onCursor: (index: number | null) => void;
}

function equityPlot(node: HTMLElement, look: Look): uPlot {
  const line = { stroke: look.colour("--equity"), width: 2, points: { show: false } };
  const compact = new Intl.NumberFormat("en-US", {
    notation: "compact",
    maximumSignificantDigits: 5,
  });
  return plot(node, HEIGHTS.equity, line, (value) => compact.format(value), look);
}

function drawdownPlot(node: HTMLElement, look: Look): uPlot {
  const line = {
    stroke: look.colour("--drawdown"),
    fill: look.colour("--drawdown-fill"),
    width: 1.5,
    points: { show: false },
  };
  const made = plot(
    node,
    HEIGHTS.drawdown,
    line,
    (value) => `${trimmed(value * 100)} %`,
    look,
    (_, low) => [Math.min(low ?? 0, -0.01) * 1.1, 0],
  );
  return made;
}

function trimmed(value: number): string {
  return String(Math.abs(Number(value.toFixed(2))) === 0 ? 0 : Number(value.toFixed(2)));
}

function plot(
  node: HTMLElement,
  height: number,
  line: uPlot.Series,
  label: (value: number) => string,
  look: Look,
  range?: uPlot.Range.Function,
): uPlot {
  const axis: uPlot.Axis = {
    stroke: look.colour("--muted"),
    grid: { stroke: look.colour("--grid"), width: 1 },
    ticks: { stroke: look.colour("--grid"), width: 1 },
    font: "12px system-ui, sans-serif",
  };
  const options: uPlot.Options = {
    width: Math.max(node.clientWidth, 200),
    height,
    tzDate: (t) => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { sync: { key: "curve" }, drag: { x: true, y: false }, points: { size: 7 } },
    series: [{}, line],
    scales: range ? { y: { range } } : {},
    axes: [
      {
        ...axis,
        space: 80,
        values: (_, splits, __, ___, step) => splits.map((t) => axisTime(t, step)),
      },
      { ...axis, size: AXIS_WIDTH, values: (_, splits) => splits.map(label) },
    ],
    hooks: { setCursor: [(self) => look.onCursor(self.cursor.idx ?? null)] },
  };
  return new uPlot(options, [[], []], node);
}

function resize(plot: uPlot): void {
  const width = plot.root.parentElement?.clientWidth ?? 0;
  if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
}

/** True in the dark: a canvas takes its colours once, so it must be told of a change. */
function useTheme(): boolean {
  const query = useRef(matchMedia("(prefers-color-scheme: dark)")).current;
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const follow = (): void => setDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  return dark;
}

function Summary({ curve, currency }: Props) {
  const { points, hasDrawdown } = curve;
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return null;
  const by = (index: 1 | 2) => [...points].sort((a, b) => a[index] - b[index]);
  const rows: readonly (readonly [string, EquityPoint | undefined])[] = [
    ["First", first],
    ["Lowest equity", by(1)[0]],
    ["Highest equity", by(1).at(-1)],
    ...(hasDrawdown ? [["Deepest drawdown", by(2).at(-1)] as const] : []),
    ["Latest", last],
  ];
  return (
    <div class="visually-hidden">
      <table data-testid="chart-summary">
        <caption>The chart in numbers: {points.length} points</caption>
        <thead>
          <tr>
            <th scope="col">Point</th>
            <th scope="col">Time</th>
            <th scope="col">Equity</th>
            {hasDrawdown && <th scope="col">Drawdown</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, point]) =>
            point ? (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{instant(point[0] * 1000)}</td>
                <td>{money(String(point[1]), currency)}</td>
                {hasDrawdown && <td>{percent(point[2])}</td>}
              </tr>
            ) : null,
          )}
        </tbody>
      </table>
    </div>
  );
}
