// The login: a token from the link's hash (never sent as an address) is traded for a cookie.

const PREFIX = "#login=";

/** The token in `location.hash`, or null. */
export function tokenIn(hash: string): string | null {
  if (!hash.startsWith(PREFIX)) return null;
  try {
    return decodeURIComponent(hash.slice(PREFIX.length)) || null;
  } catch {
    return null;
  }
}

/** What a person pasted: the token itself, or the whole login link. */
export function tokenPasted(text: string): string {
  const trimmed = text.trim();
  const at = trimmed.indexOf(PREFIX);
  return (at < 0 ? trimmed : tokenIn(trimmed.slice(at))) ?? "";
}

/** Why a login failed, in words; null when it did not. */
export async function login(token: string): Promise<string | null> {
  let response: Response;
  try {
    response = await fetch("/api/v1/session", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Sidewatch": "1" },
      body: JSON.stringify({ token }),
    });
  } catch {
    return "The sidecar cannot be reached. Is it still running?";
  }
  return refusal(response.status);
}

export function refusal(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status === 401) return "This token is not valid: a read or operate token is needed.";
  if (status === 403) return "The sidecar does not let this page's address log in.";
  if (status === 429) return "Too many attempts: wait a minute and try again.";
  return `The sidecar answered with status ${status}.`;
}
