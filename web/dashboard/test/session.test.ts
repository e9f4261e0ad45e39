import assert from "node:assert/strict";
import { test } from "node:test";
import { refusal, tokenIn, tokenPasted } from "../src/session";

test("it finds the token in a login link's hash", () => {
  assert.equal(tokenIn("#login=abc_-1"), "abc_-1");
  assert.equal(tokenIn("#login=a%2Fb"), "a/b");
  assert.equal(tokenIn("#login="), null);
  assert.equal(tokenIn("#login=%"), null);
  assert.equal(tokenIn("#alerts"), null);
});

test("it takes a pasted token or the whole link", () => {
  assert.equal(tokenPasted("  abc \n"), "abc");
  assert.equal(tokenPasted("http://127.0.0.1:5173/#login=abc"), "abc");
  assert.equal(tokenPasted("http://127.0.0.1:5173/#login="), "");
});

test("it explains a refused login", () => {
  assert.equal(refusal(204), null);
  assert.match(refusal(401) ?? "", /token is not valid/);
  assert.match(refusal(403) ?? "", /this page's address/);
  assert.match(refusal(429) ?? "", /Too many/);
  assert.match(refusal(500) ?? "", /500/);
});
