// What the sidecar says, as the page reads it: one frame of the socket, one poll by HTTP.

import type { Alert, EquityPoint, EquitySeries, Health, MetricsUpdate } from "./messages";

interface NodeBase {
  readonly id?: string;
  readonly name?: string;
  readonly state?: string;
  readonly restarts?: number;
  readonly restarts_total?: number;
}

export interface SupervisorNode extends NodeBase {
  readonly kind: "supervisor";
  readonly strategy?: string;
  readonly children?: readonly ActorNode[];
}

export interface LeafNode extends NodeBase {
  readonly kind: "actor";
  readonly incarnation?: number;
  readonly last_error?: string | null;
  readonly mailbox?: number;
  readonly mailbox_high?: number;
  readonly mailbox_capacity?: number;
  readonly in_hand?: string | null;
  readonly in_hand_age_s?: number | null;
  readonly handled?: number;
  readonly crashed?: number;
  readonly quarantined?: number;
  readonly dead_lettered?: number;
}

export type ActorNode = SupervisorNode | LeafNode;

/** The actor tree. A field may be missing: an older or newer sidecar must not break the page. */
export interface SystemStatus {
  readonly at?: string;
  readonly root?: ActorNode | null;
  readonly quarantine?: number;
  readonly dead_letters?: number;
  readonly blocked?: unknown;
}

interface Envelope {
  readonly seq: number;
  readonly at: string;
}

export type Message =
  | (Envelope & {
      readonly type: "snapshot";
      readonly metrics: MetricsUpdate;
      readonly health: Health | null;
      readonly alerts: readonly Alert[];
      readonly supervisor: SystemStatus | null;
      readonly series: readonly EquitySeries[];
    })
  | (Envelope & {
      readonly type: "metrics_update";
      readonly metrics: MetricsUpdate;
      readonly points?: Readonly<Record<string, readonly EquityPoint[]>>;
    })
  | (Envelope & { readonly type: "health_update"; readonly health: Health })
  | (Envelope & { readonly type: "alert_triggered" | "alert_update"; readonly alert: Alert })
  | (Envelope & { readonly type: "supervisor_update"; readonly supervisor: SystemStatus });

/** What the fallback by HTTP brings, all at once. */
export interface Polled {
  readonly metrics: MetricsUpdate;
  readonly health: Health;
  readonly alerts: readonly Alert[];
  readonly supervisor: SystemStatus;
}

/** Read one frame; null when it is no message (not JSON, or without type and seq). */
export function parse(text: string): Message | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { type, seq } = value as Partial<Message>;
  return typeof type === "string" && typeof seq === "number" ? (value as Message) : null;
}
