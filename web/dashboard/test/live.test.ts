import assert from "node:assert/strict";
import { test } from "node:test";
import { DEAD_MS, type Link, NEW_LINK, POLL_MS } from "../src/link";
import { Live } from "../src/live";
import type { Message, Polled } from "../src/wire";
import { type Socket, Unauthorized, type World } from "../src/world";
import { snapshot } from "./samples";

class FakeSocket implements Socket {
  sent: string[] = [];
  closed = false;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
}

/** A world of fake sockets and a clock that moves only when told. */
class Bench implements World {
  time = 0;
  sockets: FakeSocket[] = [];
  timers: { at: number; call: () => void }[] = [];
  paints: (() => void)[] = [];
  answer: (path: string) => unknown = () => ({ alerts: [] });
  asked: string[] = [];
  link: Link = NEW_LINK;
  messages: Message[] = [];
  polls: Polled[] = [];
  seen = 0;
  live = new Live(this, {
    seq: () => this.seen,
    message: (message) => {
      this.messages.push(message);
      this.seen = message.seq;
    },
    polled: (polled) => void this.polls.push(polled),
    link: (link) => {
      this.link = link;
    },
  });

  open(): Socket {
    this.sockets.push(new FakeSocket());
    return this.socket;
  }
  async get(path: string): Promise<unknown> {
    this.asked.push(path);
    return this.answer(path);
  }
  now = (): number => this.time;
  random = (): number => 0.5;
  after(ms: number, call: () => void): () => void {
    const timer = { at: this.time + ms, call };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }
  painted(call: () => void): void {
    this.paints.push(call);
  }

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    assert.ok(last);
    return last;
  }
  accept(message: unknown = snapshot()): void {
    this.socket.onopen?.({} as Event);
    this.socket.onmessage?.({ data: JSON.stringify(message) } as MessageEvent);
  }
  break(): void {
    this.socket.onclose?.({} as CloseEvent);
  }
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await settled();
      const due = this.timers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((one) => one !== due);
      this.time = due.at;
      due.call();
    }
    this.time = end;
  }
}

function settled(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}

test("it takes a snapshot without asking to resume, and acks it once painted", () => {
  const bench = new Bench();
  bench.live.start();
  bench.accept();
  assert.equal(bench.link.phase, "open");
  assert.deepEqual(bench.socket.sent, []);
  bench.paints.forEach((paint) => paint());
  assert.deepEqual(bench.socket.sent, ['{"type":"ack","seq":10}']);
});

test("it acks figures but not alerts or health", () => {
  const bench = new Bench();
  bench.live.start();
  bench.accept({ type: "health_update", seq: 1, at: "", health: null });
  bench.accept({ type: "metrics_update", seq: 2, at: "", metrics: {} });
  assert.equal(bench.paints.length, 1);
});

test("it resumes from the last seq after a lost connection", async () => {
  const bench = new Bench();
  bench.live.start();
  bench.accept();
  bench.break();
  assert.deepEqual([bench.link.phase, bench.link.retryAt], ["down", 1_000]);
  await bench.pass(1_000);
  assert.equal(bench.sockets.length, 2);
  bench.accept();
  assert.equal(bench.socket.sent[0], '{"type":"resume","seq":10}');
  assert.equal(bench.link.failures, 0);
});

test("it waits longer after each failure, and polls after the third", async () => {
  const bench = new Bench();
  bench.live.start();
  for (const pause of [1_000, 2_000]) {
    bench.break();
    assert.equal(bench.link.retryAt, bench.time + pause);
    await bench.pass(pause);
  }
  assert.equal(bench.polls.length, 0);
  bench.break();
  await bench.pass(0);
  assert.equal(bench.link.poll, "ok");
  assert.equal(bench.polls.length, 1);
  await bench.pass(POLL_MS);
  assert.equal(bench.polls.length, 2);
});

test("it ends polling with the first live message", async () => {
  const bench = new Bench();
  bench.live.start();
  for (let i = 0; i < 3; i++) {
    bench.break();
    await bench.pass(bench.link.retryAt! - bench.time);
  }
  bench.accept();
  const { length } = bench.asked;
  await bench.pass(2 * POLL_MS);
  assert.equal(bench.asked.length, length);
  assert.equal(bench.link.poll, "off");
});

test("it says when polls fail too, and goes on trying", async () => {
  const bench = new Bench();
  bench.answer = () => {
    throw new Error("refused");
  };
  bench.live.start();
  for (let i = 0; i < 3; i++) {
    bench.break();
    await bench.pass(i < 2 ? 4_000 : 0);
  }
  assert.equal(bench.link.poll, "failed");
  await bench.pass(4_000);
  assert.equal(bench.sockets.length, 4);
});

test("it asks for a login when a failed handshake turns out to be a 401", async () => {
  const bench = new Bench();
  bench.answer = () => {
    throw new Unauthorized();
  };
  bench.live.start();
  bench.break();
  await bench.pass(60_000);
  assert.equal(bench.link.phase, "locked");
  assert.equal(bench.sockets.length, 1, "it must not go on knocking");
  bench.live.start();
  assert.equal(bench.link.phase, "connecting");
});

test("it gives up a connection that has fallen silent", async () => {
  const bench = new Bench();
  bench.live.start();
  bench.accept();
  const silent = bench.socket;
  await bench.pass(DEAD_MS + 1_000);
  assert.ok(silent.closed);
  assert.equal(bench.sockets.length, 2);
});

test("it hears nothing from a socket that it gave up", async () => {
  const bench = new Bench();
  bench.live.start();
  const old = bench.socket;
  bench.break();
  await bench.pass(1_000);
  old.onmessage?.({ data: JSON.stringify(snapshot()) } as MessageEvent);
  old.onclose?.({} as CloseEvent);
  assert.deepEqual([bench.messages.length, bench.link.failures], [0, 1]);
});

test("it tries at once when told that the network is back", () => {
  const bench = new Bench();
  bench.live.start();
  bench.live.retry();
  assert.equal(bench.sockets.length, 1, "a try is under way already");
  bench.break();
  bench.live.retry();
  assert.equal(bench.sockets.length, 2);
});

test("it passes over frames that are no messages", () => {
  const bench = new Bench();
  bench.live.start();
  bench.socket.onmessage?.({ data: "hello" } as MessageEvent);
  assert.equal(bench.messages.length, 0);
  assert.equal(bench.link.phase, "connecting");
});
