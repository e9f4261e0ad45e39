// The edge of the page: its socket, its requests, its clock. Tests bring their own.

import { POLL_MS } from "./link";

/** What a socket must do; a WebSocket does. */
export interface Socket {
  send(text: string): void;
  close(): void;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
}

/** What the page needs of the browser. */
export interface World {
  open(): Socket;
  /** GET a path as JSON; throws Unauthorized on 401, and an Error on any other failure. */
  get(path: string): Promise<unknown>;
  now(): number;
  random(): number;
  /** Call back later; the answer cancels. */
  after(ms: number, call: () => void): () => void;
  /** Call back when what was just applied is on the screen. */
  painted(call: () => void): void;
}

export class Unauthorized extends Error {}

/** The browser's own world. */
export const BROWSER: World = {
  open: () => new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/live`),
  now: () => Date.now(),
  random: () => Math.random(),
  async get(path) {
    const signal = AbortSignal.timeout(POLL_MS);
    const response = await fetch(path, { headers: { Accept: "application/json" }, signal });
    if (response.status === 401) throw new Unauthorized(path);
    if (!response.ok) throw new Error(`${path}: status ${response.status}`);
    return (await response.json()) as unknown;
  },
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
  painted(call) {
    let done = false;
    const once = (): void => {
      if (!done) call();
      done = true;
    };
    requestAnimationFrame(once);
    setTimeout(once, 250); // a hidden tab paints nothing, but has taken the message all the same
  },
};
