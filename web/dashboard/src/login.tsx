// Shown instead of the figures when the sidecar wants a login.

import { useEffect, useState } from "preact/hooks";
import { login, tokenPasted } from "./session";

interface Props {
  /** Why the last link did not work; empty at first. */
  readonly problem: string;
  readonly onLogin: () => void;
}

export function Login({ problem, onLogin }: Props) {
  const [said, setSaid] = useState(problem);
  const [busy, setBusy] = useState(false);
  useEffect(() => setSaid(problem), [problem]); // a link opened while this is shown

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const token = tokenPasted(
      String(new FormData(event.currentTarget as HTMLFormElement).get("token")),
    );
    if (!token) return setSaid("Paste the login link or its token first.");
    setBusy(true);
    const refused = await login(token);
    setBusy(false);
    if (refused) setSaid(refused);
    else onLogin();
  }

  return (
    <main class="login" data-testid="login">
      <h1>Sidewatch</h1>
      <h2>{said ? "Not logged in" : "Please log in"}</h2>
      <p id="problem" class="problem" role="alert" data-testid="login-problem">
        {said}
      </p>
      <p>
        Open the login link that <code>sidewatch run</code> printed, or paste it here, or the token
        that <code>sidewatch token read</code> prints.
      </p>
      <form onSubmit={(event) => void submit(event)}>
        <label for="token">Login link or token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          required
          aria-describedby="problem"
        />
        <button type="submit" disabled={busy}>
          {busy ? "Logging in…" : "Log in"}
        </button>
      </form>
    </main>
  );
}
