// Start a TENIOS callback, report each status and print the outcome.

import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "../generated/tenios.js";
import { sendOnce } from "./once.js";

type Meaning = { text: string; outcome?: Outcome };
type Outcome = "connected" | "agent_failed" | "customer_failed" | "rejected" | "unknown" | "status_unavailable";

const EXIT_CODES: Record<Outcome, number> = {
  connected: 0, agent_failed: 1, customer_failed: 1, rejected: 2, unknown: 3, status_unavailable: 4,
};

// TENIOS may add statuses, which are not final.
const MEANINGS: Record<string, Meaning | undefined> = {
  REQUESTED: { text: "requested" },
  ACCEPTED: { text: "accepted" },
  CALLING_A: { text: "the agent is being called" },
  CALL_A_FAILED: { text: "the call to the agent was not successful", outcome: "agent_failed" },
  CALLING_B: { text: "the customer is being called" },
  CALL_B_FAILED: { text: "the call to the customer was not successful", outcome: "customer_failed" },
  CONNECTED: { text: "connected" },
  DISCONNECTED: { text: "the call has ended", outcome: "connected" },
};

const REJECTIONS = new Set([400, 401, 403, 404, 405, 413, 415, 422, 429]);
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

const { TENIOS_BASE_URL, TENIOS_ACCESS_KEY = "", TENIOS_CALLBACK_CONFIG_ID = "" } = process.env;
const baseUrl = TENIOS_BASE_URL || "https://api.tenios.com";
// At most 3600 each: Node's timers fire immediately if they are set to more than 24 days.
const pollSeconds = Number(process.env.POLL_SECONDS || 2);
const maxPauseSeconds = Number(process.env.MAX_PAUSE_SECONDS || 3600);
const timeoutSeconds = Number(process.env.TIMEOUT_SECONDS || 30);
const client = createClient<paths>({ baseUrl, fetch: sendOnce });

// A response may contain the access key.
const redact = (text: string) => (TENIOS_ACCESS_KEY ? text.replaceAll(TENIOS_ACCESS_KEY, "***") : text);
const log = (...parts: unknown[]) => console.error(redact(parts.join(" ")));

function logged(outcome: Outcome, ...parts: unknown[]): Outcome {
  log(...parts);
  return outcome;
}

/** Returns the code or name of an error, but not its message, because a SyntaxError quotes the response. */
function nameOf(error: unknown): string {
  const { name, cause } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? name;
}

/** Returns the code of an error response, but not its message, which may contain the access key in any spelling. */
function codeOf(error: unknown): string {
  const code = (error as { error_code?: unknown } | undefined)?.error_code;
  return typeof code === "string" && /^[A-Z_]{1,40}$/.test(code) ? code : "";
}

const withTimeout = () => ({ signal: AbortSignal.timeout(timeoutSeconds * 1000) });

/** Sends one init request. Returns the id of the callback, or an outcome if there is no id. */
async function start(body: components["schemas"]["InitCallbackRequest"]): Promise<number | Outcome> {
  try {
    const { data, error, response } = await client.POST("/callback/init", { body, ...withTimeout() });
    if (REJECTIONS.has(response.status)) {
      return logged("rejected", "TENIOS rejected the callback: HTTP", response.status, codeOf(error));
    }
    // The contract says number. Decimal text is also accepted, but not "010", which may be another kind of id. An id beyond
    // 2 ** 53 may have been rounded to the id of another callback.
    const id: unknown = response.status === 200 ? data?.id : undefined;
    if (["number", "string"].includes(typeof id) && /^(0|[1-9]\d*)$/.test(String(id)) && Number.isSafeInteger(Number(id))) {
      return Number(id);
    }
    return logged("unknown", "Phones may be ringing: no valid id in the response, HTTP", response.status);
  } catch (error) {
    if (NOT_CONNECTED.has(nameOf(error))) return logged("rejected", "No connection was made, so nothing was sent:", nameOf(error));
    return logged("unknown", "Phones may be ringing:", nameOf(error));
  }
}

/** Polls until the callback has ended. Failed status requests are repeated. */
async function poll(body: components["schemas"]["CallbackStatusRequest"]): Promise<Outcome> {
  for (let last: string | undefined; ; ) {
    let pause = pollSeconds;
    try {
      const { data, error, response } = await client.POST("/callback/status", { body, ...withTimeout() });
      const badCredentials = response.status === 400 && error?.error_code === "BAD_CREDENTIALS";
      if (badCredentials || [401, 403].includes(response.status)) {
        return logged("status_unavailable", "The callback is still running, but TENIOS refuses to return its status: HTTP", response.status);
      }
      const status: unknown = response.status === 200 ? data?.status : undefined;
      if (typeof status !== "string" || status === "") {
        log("Status request failed, retrying: HTTP", response.status);
        const retryAfter = response.headers.get("Retry-After") ?? "";
        // A date is ignored.
        if (/^\d+$/.test(retryAfter)) pause = Math.max(pollSeconds, Math.min(Number(retryAfter), maxPauseSeconds));
      } else if (status !== last) {
        last = status;
        console.log(redact(status));
        const meaning = Object.hasOwn(MEANINGS, status) ? MEANINGS[status] : undefined;
        log(meaning?.text ?? "a status that this program does not know");
        if (meaning?.outcome) return meaning.outcome;
      }
    } catch (error) {
      log("Status request failed, retrying:", nameOf(error));
    }
    await sleep(pause * 1000);
  }
}

async function run([number, delay, announcement, key]: string[]): Promise<Outcome> {
  if (!/^https?:\/\//i.test(baseUrl) || !URL.canParse(baseUrl)) {
    return logged("rejected", "Nothing was sent: TENIOS_BASE_URL must be an http(s) URL, got", baseUrl);
  }
  const settings = [["POLL_SECONDS", pollSeconds, 0], ["MAX_PAUSE_SECONDS", maxPauseSeconds, 0], ["TIMEOUT_SECONDS", timeoutSeconds, 0.001]] as const;
  for (const [name, seconds, least] of settings) {
    if (!(seconds >= least && seconds <= 3600)) {
      return logged("rejected", `Nothing was sent: ${name} must be from ${least} to 3600, got`, process.env[name]);
    }
  }
  if (!number || !/^\d{0,10}$/.test(delay ?? "") || Number(delay) > 2 ** 31 - 1) {
    return logged("rejected", "Nothing was sent. Usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]");
  }
  const started = await start({
    access_key: TENIOS_ACCESS_KEY,
    callback_config_id: TENIOS_CALLBACK_CONFIG_ID,
    callback_number: number,
    delay: Number(delay || 0),
    ...(announcement && { agent_announcement: announcement }),
    ...(key && { dtmf_key_to_trigger_customer_call: key }),
  });
  return typeof started === "string" ? started : poll({ access_key: TENIOS_ACCESS_KEY, id: started });
}

// The callbacks are started one after another with the same client. Each has up to four arguments.
const given = process.argv.slice(2);
process.exitCode = 0;
for (let first = 0; first === 0 || first < given.length; first += 4) {
  const outcome = await run(given.slice(first, first + 4));
  console.log(outcome);
  process.exitCode = Math.max(process.exitCode, EXIT_CODES[outcome]);
}
