// Start a TENIOS callback, report each status and print the outcome.

import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "../generated/tenios.js";

type Status = components["schemas"]["CallbackStatus"];
type Meaning = { text: string; outcome?: Outcome };
type Outcome = "connected" | "agent_failed" | "customer_failed" | "rejected" | "unknown" | "status_unavailable";

const EXIT_CODES: Record<Outcome, number> = {
  connected: 0, agent_failed: 1, customer_failed: 1, rejected: 2, unknown: 3, status_unavailable: 4,
};

// This does not compile unless it has each status of the contract. TENIOS may add others, which are not final.
const MEANINGS: Record<Status, Meaning> = {
  REQUESTED: { text: "requested" },
  ACCEPTED: { text: "accepted, no phone is ringing yet" },
  CALLING_A: { text: "the agent's phone is ringing" },
  CALL_A_FAILED: { text: "the agent could not be reached", outcome: "agent_failed" },
  CALLING_B: { text: "the customer's phone is ringing" },
  CALL_B_FAILED: { text: "the customer could not be reached", outcome: "customer_failed" },
  CONNECTED: { text: "connected" },
  DISCONNECTED: { text: "the call has ended", outcome: "connected" },
};

const REJECTIONS = new Set([400, 401, 403, 404, 405, 413, 415, 422, 429]);
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);
const MAX_PAUSE = 3600; // Seconds. Node's timers fire at once if they are set to more than 24 days.

const [number, delay, announcement, key] = process.argv.slice(2);
const { TENIOS_BASE_URL, TENIOS_ACCESS_KEY = "", TENIOS_CALLBACK_CONFIG_ID = "", POLL_SECONDS } = process.env;
const baseUrl = TENIOS_BASE_URL || "https://api.tenios.com";
const pollSeconds = Number(POLL_SECONDS || 2);
const client = createClient<paths>({ baseUrl });

// A response may repeat the access key.
const redact = (text: string) => (TENIOS_ACCESS_KEY ? text.replaceAll(TENIOS_ACCESS_KEY, "***") : text);
const log = (...parts: unknown[]) => console.error(redact(parts.join(" ")));

function logged(outcome: Outcome, ...parts: unknown[]): Outcome {
  log(...parts);
  return outcome;
}

/** Returns the code or name of an error. Not its message: that of a SyntaxError quotes the response. */
function nameOf(error: unknown): string {
  const { name, cause } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? name;
}

// Following a redirect would send the access key elsewhere, and the init request twice.
const withoutRedirects = () => ({ redirect: "manual", signal: AbortSignal.timeout(30_000) }) as const;

/** Node's fetch repeats a POST after a 421, unless its body is a stream, which cannot be read twice. */
function sentOnce(body: object) {
  const bytes = new Blob([JSON.stringify(body)]);
  const headers = { "Content-Length": String(bytes.size) };
  // Without "omit", some versions of Node report a 401 after a stream as a lost connection.
  return { ...withoutRedirects(), bodySerializer: () => bytes.stream(), headers, duplex: "half", credentials: "omit" } as const;
}

/** Sends one init request. Returns the id of the callback, or an outcome if there is no id. */
async function start(body: components["schemas"]["InitCallbackRequest"]): Promise<number | Outcome> {
  try {
    const { data, error, response } = await client.POST("/callback/init", { body, ...sentOnce(body) });
    if (REJECTIONS.has(response.status)) {
      return logged("rejected", "TENIOS refused to start the callback:", response.status, error?.error_message);
    }
    // The contract says number, but decimal text is accepted, too. An id beyond 2 ** 53 may have been rounded to another one.
    const id: unknown = response.status === 200 ? data?.id : undefined;
    if (typeof id !== "object" && /^\d+$/.test(String(id)) && Number.isSafeInteger(Number(id))) return Number(id);
    return logged("unknown", "Phones may be ringing: no usable id in the response,", response.status);
  } catch (error) {
    if (NOT_CONNECTED.has(nameOf(error))) return logged("rejected", "No connection was made, nothing was sent:", nameOf(error));
    return logged("unknown", "Phones may be ringing:", nameOf(error));
  }
}

/** Polls until the callback has ended. Failed status requests are repeated. */
async function poll(body: components["schemas"]["CallbackStatusRequest"]): Promise<Outcome> {
  for (let last: string | undefined; ; ) {
    let pause = pollSeconds;
    try {
      const { data, error, response } = await client.POST("/callback/status", { body, ...withoutRedirects() });
      const badCredentials = response.status === 400 && error?.error_code === "BAD_CREDENTIALS";
      if (badCredentials || [401, 403].includes(response.status)) {
        return logged("status_unavailable", "The callback goes on, but TENIOS refuses to return its status:", response.status);
      }
      const status: unknown = response.status === 200 ? data?.status : undefined;
      if (typeof status !== "string" || status === "") {
        log("Status request failed, polling again:", response.status);
        const retryAfter = response.headers.get("Retry-After") ?? "";
        // A date is ignored.
        if (/^\d+$/.test(retryAfter)) pause = Math.max(pollSeconds, Math.min(Number(retryAfter), MAX_PAUSE));
      } else if (status !== last) {
        last = status;
        console.log(redact(status));
        const meaning = (MEANINGS as Record<string, Meaning | undefined>)[status];
        log(meaning?.text ?? "a status that this program does not know");
        if (meaning?.outcome) return meaning.outcome;
      }
    } catch (error) {
      log("Status request failed, polling again:", nameOf(error));
    }
    await sleep(pause * 1000);
  }
}

async function main(): Promise<Outcome> {
  if (!/^https?:\/\//i.test(baseUrl) || !URL.canParse(baseUrl)) {
    return logged("rejected", "Nothing was sent: TENIOS_BASE_URL must be an http(s) URL, got", baseUrl);
  }
  if (!(pollSeconds >= 0 && pollSeconds <= MAX_PAUSE)) {
    return logged("rejected", `Nothing was sent: POLL_SECONDS must be from 0 to ${MAX_PAUSE}, got`, POLL_SECONDS);
  }
  if (!number || !/^\d{0,9}$/.test(delay ?? "")) {
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

const outcome = await main();
console.log(outcome);
process.exitCode = EXIT_CODES[outcome];
