// The supervision tree in short: who runs, who fell how often, and who has work waiting.

import { age, count } from "./format";
import type { ActorNode, LeafNode, SystemStatus } from "./wire";

export function Actors({ status }: { readonly status: SystemStatus }) {
  return (
    <div data-testid="actor-tree">
      <p class="note">
        {count(status.quarantine ?? 0, "message")} in quarantine,{" "}
        {count(status.dead_letters ?? 0, "dead letter")}
        {blocked(status.blocked) && (
          <strong class="tone-bad">, blocked: {blocked(status.blocked)}</strong>
        )}
      </p>
      {status.root ? (
        <ul class="tree">
          <Branch node={status.root} />
        </ul>
      ) : (
        <p class="empty">The tree is not known yet.</p>
      )}
    </div>
  );
}

/** What keeps the system from running, in words; empty for null, false, 0, [] and {}. */
function blocked(value: unknown): string {
  if (!value) return "";
  if (typeof value !== "object") return value === true ? "yes" : String(value);
  return Object.keys(value).length === 0 ? "" : JSON.stringify(value);
}

function Branch({ node }: { node: ActorNode }) {
  const name = node.name ?? node.id ?? "?";
  const children = node.kind === "supervisor" ? (node.children ?? []) : [];
  return (
    <li>
      <div class="node" data-testid={`actor-${node.id ?? name}`}>
        <b>{name}</b>
        {node.kind === "supervisor" && node.strategy && <small> {node.strategy}</small>}{" "}
        <State state={node.state ?? "UNKNOWN"} />
        {(node.restarts_total ?? 0) > 0 && `, ${restarts(node)}`}
        {node.kind === "actor" && <Mailbox actor={node} />}
        {node.kind === "actor" && node.last_error && (
          <p class="error">last error: {node.last_error}</p>
        )}
      </div>
      {children.length > 0 && (
        <ul>
          {children.map((child, index) => (
            <Branch key={child.id ?? child.name ?? index} node={child} />
          ))}
        </ul>
      )}
    </li>
  );
}

function State({ state }: { state: string }) {
  const word = state.toUpperCase();
  const tone = /RUNNING|IDLE/.test(word)
    ? "good"
    : /FAIL|CRASH|DEAD|GAVE|STOPPED/.test(word)
      ? "bad"
      : "fair";
  return <span class={`word tone-${tone}`}>{word}</span>;
}

function restarts(node: ActorNode): string {
  const total = node.restarts_total ?? 0;
  return `${count(total, "restart")} (${node.restarts ?? 0} lately)`;
}

function Mailbox({ actor }: { actor: LeafNode }) {
  const { mailbox, mailbox_capacity: capacity, in_hand: inHand, in_hand_age_s: held } = actor;
  return (
    <span>
      {mailbox !== undefined &&
        `, mailbox ${mailbox}${capacity === undefined ? "" : ` of ${capacity}`}`}
      {inHand &&
        typeof held === "number" &&
        held >= 1 &&
        `, ${inHand} in hand for ${age(held * 1000)}`}
    </span>
  );
}
