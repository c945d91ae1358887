// Have an agent and a customer called and joined by TENIOS, and say how it went.

import { setTimeout as sleep } from "node:timers/promises";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "../generated/tenios.js";

type Status = components["schemas"]["CallbackStatus"];
type Outcome = "connected" | "agent_failed" | "customer_failed" | "rejected" | "unknown" | "lost_sight";

const EXIT_CODES: Record<Outcome, number> = {
  connected: 0,
  agent_failed: 1,
  customer_failed: 1,
  rejected: 2,
  unknown: 3,
  lost_sight: 4,
};

// Each status of the contract is here, or this does not compile. TENIOS may add others one day: those are not final.
const MEANINGS: Record<Status, { says: string; outcome?: Outcome }> = {
  REQUESTED: { says: "requested" },
  ACCEPTED: { says: "accepted" },
  CALLING_A: { says: "the agent's telephone rings" },
  CALL_A_FAILED: { says: "the agent was not reached", outcome: "agent_failed" },
  CALLING_B: { says: "the customer's telephone rings" },
  CALL_B_FAILED: { says: "the customer was not reached", outcome: "customer_failed" },
  CONNECTED: { says: "they talk" },
  DISCONNECTED: { says: "they have talked", outcome: "connected" },
};

const REFUSALS = new Set([400, 401, 403, 404, 405, 413, 415, 422, 429]);
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

// A redirect would carry the access key elsewhere, and repeat a dial. Node's fetch itself repeats a request that is answered 421,
// unless its body is a stream, which can be sent only once.
async function fetchOnce(request: Request): Promise<Response> {
  const body = new Blob([await request.arrayBuffer()]);
  const headers = new Headers(request.headers);
  headers.set("Content-Length", String(body.size));
  return fetch(request.url, {
    method: request.method,
    headers,
    body: body.stream(),
    duplex: "half",
    redirect: "manual",
    credentials: "omit", // else the standard makes of a 401 in answer to a stream a lost connection
    signal: AbortSignal.timeout(30_000),
  });
}

// For people. What TENIOS or an error says may repeat the access key.
function tell(...reasons: unknown[]): void {
  const text = reasons.join(" ");
  console.error(TENIOS_ACCESS_KEY ? text.replaceAll(TENIOS_ACCESS_KEY, "***") : text);
}

function told(outcome: Outcome, ...reasons: unknown[]): Outcome {
  tell(...reasons);
  return outcome;
}

/** Seconds in text; so many where it is none, and never more than an hour. */
function secondsIn(text: string | null | undefined, otherwise: number): number {
  return text && /^[\d.]+$/.test(text) ? Math.min(Number(text) || 0, 3600) : otherwise;
}

/** Dials, once; gives the callback's id, or the outcome where there is none. */
async function dial(client: Client<paths>, body: components["schemas"]["InitCallbackRequest"]): Promise<number | Outcome> {
  try {
    const { data, error, response } = await client.POST("/callback/init", { body });
    if (REFUSALS.has(response.status)) return told("rejected", "TENIOS said no:", response.status, error?.error_message);
    // The contract says a number; some servers write it as text. Beyond 2**53 JavaScript would make another id of it.
    const id: unknown = data?.id;
    const isWhole = typeof id !== "object" && /^\d+$/.test(String(id)) && Number.isSafeInteger(Number(id));
    if (response.status === 200 && isWhole) return Number(id);
    return told("unknown", "Telephones may be ringing: no id in the answer,", response.status);
  } catch (failure) {
    const { message, cause } = failure as Error & { cause?: { code?: string } };
    if (NOT_CONNECTED.has(cause?.code ?? "")) return told("rejected", "Nothing was sent:", cause?.code);
    return told("unknown", "Telephones may be ringing:", message);
  }
}

/** Asks until the callback is over. A question that fails is no news. */
async function follow(client: Client<paths>, body: components["schemas"]["CallbackStatusRequest"]): Promise<Outcome> {
  const pause = secondsIn(process.env.POLL_SECONDS, 2);
  for (let last: string | undefined; ; ) {
    let wait = pause;
    try {
      const { data, error, response } = await client.POST("/callback/status", { body });
      if ([401, 403].includes(response.status) || (response.status === 400 && error?.error_code === "BAD_CREDENTIALS")) {
        return told("lost_sight", "The callback goes on, but TENIOS refuses to say how far it is:", response.status);
      }
      const status = response.status === 200 ? data?.status : undefined;
      if (status === undefined) {
        tell("Asking again:", response.status);
        wait = Math.max(pause, secondsIn(response.headers.get("Retry-After"), 0));
      } else if (status !== last) {
        last = status;
        console.log(status);
        const meaning = (MEANINGS as Partial<typeof MEANINGS>)[status];
        tell(meaning?.says ?? "a status that this program does not know");
        if (meaning?.outcome) return meaning.outcome;
      }
    } catch (failure) {
      tell("Asking again:", (failure as Error).message);
    }
    await sleep(wait * 1000);
  }
}

const [number, delay, announcement, key] = process.argv.slice(2);
const { TENIOS_BASE_URL, TENIOS_ACCESS_KEY = "", TENIOS_CALLBACK_CONFIG_ID = "" } = process.env;
const client = createClient<paths>({ baseUrl: TENIOS_BASE_URL || "https://api.tenios.com", fetch: fetchOnce });

async function main(): Promise<Outcome> {
  if (!number || !/^\d*$/.test(delay ?? "")) return told("rejected", "usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]");
  const dialled = await dial(client, {
    access_key: TENIOS_ACCESS_KEY,
    callback_config_id: TENIOS_CALLBACK_CONFIG_ID,
    callback_number: number,
    delay: Number(delay || 0),
    ...(announcement && { agent_announcement: announcement }),
    ...(key && { dtmf_key_to_trigger_customer_call: key }),
  });
  return typeof dialled === "string" ? dialled : follow(client, { access_key: TENIOS_ACCESS_KEY, id: dialled });
}

const outcome = await main();
console.log(outcome);
process.exitCode = EXIT_CODES[outcome];
