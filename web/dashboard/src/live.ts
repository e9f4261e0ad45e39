// The live connection: resumes after a gap, polls when it cannot connect, and never gives up.

import { backoffMs, DEAD_MS, type Link, NEW_LINK, POLL_AFTER_FAILURES, POLL_MS } from "./link";
import { type Message, type Polled, parse } from "./wire";
import { type Socket, Unauthorized, type World } from "./world";

export interface Listener {
  seq(): number;
  message(message: Message): void;
  polled(polled: Polled): void;
  link(link: Link): void;
}

export class Live {
  #link: Link = NEW_LINK;
  #socket: Socket | null = null;
  #cancelRetry: (() => void) | null = null;
  #cancelPoll: (() => void) | null = null;
  #cancelWatch: (() => void) | null = null;

  constructor(
    private readonly world: World,
    private readonly listener: Listener,
  ) {}

  /** Connect afresh: at the start, after a login, or when the network is back. */
  start(): void {
    this.#drop();
    const { heardAt } = this.#link;
    this.#set(heardAt === null ? NEW_LINK : { phase: "down", failures: 1, poll: "off" });
    this.#connect();
  }

  /** Try now instead of at the end of the pause; nothing happens unless it is pausing. */
  retry(): void {
    if (this.#cancelRetry) this.#connect();
  }

  #set(change: Partial<Link>): void {
    this.#link = { ...this.#link, ...change };
    this.listener.link(this.#link);
  }

  #connect(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#set({ retryAt: null });
    const socket = this.world.open();
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      const seq = this.listener.seq();
      if (seq > 0) socket.send(JSON.stringify({ type: "resume", seq }));
    };
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#receive(socket, event.data);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost(opened);
    };
    this.#watch();
  }

  #receive(socket: Socket, data: unknown): void {
    const message = typeof data === "string" ? parse(data) : null;
    if (!message) return;
    this.#cancelPoll?.();
    this.#cancelPoll = null;
    this.#set({ phase: "open", failures: 0, heardAt: this.world.now(), poll: "off" });
    this.#watch();
    this.listener.message(message);
    if (message.type !== "snapshot" && message.type !== "metrics_update") return;
    this.world.painted(() => {
      if (this.#socket === socket) socket.send(JSON.stringify({ type: "ack", seq: message.seq }));
    });
  }

  /** A half-open connection says nothing and never closes: silence ends it. */
  #watch(): void {
    this.#cancelWatch?.();
    this.#cancelWatch = this.world.after(DEAD_MS, () => {
      this.#socket?.close();
      this.#lost(true);
    });
  }

  #lost(wasOpen: boolean): void {
    this.#socket = null;
    this.#cancelWatch?.();
    const failures = this.#link.failures + 1;
    const pause = backoffMs(failures, this.world.random());
    this.#set({ phase: "down", failures, retryAt: this.world.now() + pause });
    this.#cancelRetry = this.world.after(pause, () => this.#connect());
    if (failures >= POLL_AFTER_FAILURES) this.#poll();
    // A browser hides why a handshake failed, so ask over HTTP whether a login is missing.
    else if (!wasOpen)
      void this.world.get("/api/v1/health/status").catch((error) => this.#refused(error));
  }

  #poll(): void {
    if (this.#cancelPoll) return;
    let stopped = false;
    this.#cancelPoll = () => {
      stopped = true;
    };
    void this.#fetchAll()
      .then((polled) => {
        if (stopped) return;
        this.#set({ poll: "ok", heardAt: this.world.now() });
        this.listener.polled(polled);
      })
      .catch((error: unknown) => {
        if (stopped) return;
        this.#set({ poll: "failed" });
        this.#refused(error);
      })
      .finally(() => {
        if (stopped) return;
        this.#cancelPoll = this.world.after(POLL_MS, () => {
          this.#cancelPoll = null;
          this.#poll();
        });
      });
  }

  async #fetchAll(): Promise<Polled> {
    const paths = ["metrics/realtime", "health/status", "alerts", "supervisor"];
    const answers = await Promise.all(paths.map((path) => this.world.get(`/api/v1/${path}`)));
    const [metrics, health, history, supervisor] = answers;
    const { alerts } = history as Pick<Polled, "alerts">;
    return { metrics, health, alerts, supervisor } as Polled;
  }

  #refused(error: unknown): void {
    if (!(error instanceof Unauthorized)) return;
    this.#drop();
    this.#set({ phase: "locked", retryAt: null, poll: "off" });
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    for (const cancel of [this.#cancelRetry, this.#cancelPoll, this.#cancelWatch]) cancel?.();
    this.#cancelRetry = this.#cancelPoll = this.#cancelWatch = null;
    socket?.close();
  }
}
