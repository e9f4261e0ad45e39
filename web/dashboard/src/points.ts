// Curves: points of equity in order of time, never more than a chart can show.

import type { EquityPoint } from "./messages";

export const POINTS_MAX = 1_000;

/** Append in order of time: the same instant replaces the last point, an older one is ignored. */
export function append(
  points: readonly EquityPoint[],
  added: readonly EquityPoint[],
): readonly EquityPoint[] {
  const next = [...points];
  for (const point of added) {
    const last = next.at(-1);
    if (last && point[0] < last[0]) continue;
    if (last && point[0] === last[0]) next.pop();
    next.push(point);
  }
  return next.length > POINTS_MAX ? thin(next) : next;
}

/** Say whether there is a line to draw: a first trade is two points at one instant. */
export function spans(points: readonly EquityPoint[]): boolean {
  const first = points[0];
  const last = points.at(-1);
  return first !== undefined && last !== undefined && first[0] < last[0];
}

/** Halve the points: of each four keep the lowest and the highest, and always first and last. */
export function thin(points: readonly EquityPoint[]): readonly EquityPoint[] {
  const kept = new Set<EquityPoint | undefined>([points[0], points.at(-1)]);
  for (let start = 0; start < points.length; start += 4) {
    const four = points.slice(start, start + 4).sort((a, b) => a[1] - b[1]);
    kept.add(four[0]).add(four.at(-1));
  }
  return points.filter((point) => kept.has(point));
}

/** Sum of the last known equities, from the moment on when all are known; drawdown is 0. */
export function sum(curves: readonly (readonly EquityPoint[])[]): readonly EquityPoint[] {
  const steps = curves
    .flatMap((points, index) => points.map((point) => ({ index, point })))
    .sort((a, b) => a.point[0] - b.point[0]);
  const latest = new Map<number, number>();
  const result: EquityPoint[] = [];
  for (const { index, point } of steps) {
    latest.set(index, point[1]);
    if (latest.size < curves.length) continue;
    const total = [...latest.values()].reduce((all, one) => all + one, 0);
    if (result.at(-1)?.[0] === point[0]) result.pop();
    result.push([point[0], total, 0]);
  }
  return result;
}
