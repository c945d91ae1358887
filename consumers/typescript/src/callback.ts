// Have an agent and a customer called and joined by TENIOS, and say how it went.

import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "../generated/tenios.js";

type Status = components["schemas"]["CallbackStatus"];
type Meaning = { says: string; outcome?: Outcome };
type Outcome = "connected" | "agent_failed" | "customer_failed" | "rejected" | "unknown" | "lost_sight";

const EXIT_CODES: Record<Outcome, number> = {
  connected: 0, agent_failed: 1, customer_failed: 1, rejected: 2, unknown: 3, lost_sight: 4,
};

// Each status of the contract is here, or this does not compile. TENIOS may add others one day: those are not final.
const MEANINGS: Record<Status, Meaning> = {
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
const LONGEST_PAUSE = 3600; // In seconds. A timer that is set to more than 24 days does not wait at all.

const [number, delay, announcement, key] = process.argv.slice(2);
const { TENIOS_BASE_URL, TENIOS_ACCESS_KEY = "", TENIOS_CALLBACK_CONFIG_ID = "", POLL_SECONDS } = process.env;
const baseUrl = TENIOS_BASE_URL || "https://api.tenios.com";
const pause = Number(POLL_SECONDS || 2);
const client = createClient<paths>({ baseUrl });

// What TENIOS says may repeat the access key.
const hidden = (text: string) => (TENIOS_ACCESS_KEY ? text.replaceAll(TENIOS_ACCESS_KEY, "***") : text);
const tell = (...reasons: unknown[]) => console.error(hidden(reasons.join(" ")));

function told(outcome: Outcome, ...reasons: unknown[]): Outcome {
  tell(...reasons);
  return outcome;
}

/** Why there is no answer. Not the message: that of a SyntaxError quotes the answer's beginning. */
function why(failure: unknown): string {
  const { name, cause } = failure as Error & { cause?: { code?: string } };
  return cause?.code ?? name;
}

// A redirect would carry the access key elsewhere, and repeat a dial.
const once = () => ({ redirect: "manual", signal: AbortSignal.timeout(30_000) }) as const;

/** Node's fetch repeats a POST that is answered 421, unless its body is a stream, which cannot be read twice. */
function unrepeated(body: object) {
  const bytes = new Blob([JSON.stringify(body)]);
  const headers = { "Content-Length": String(bytes.size) };
  // Without "omit", some versions of Node take a 401 in answer to a stream for a lost connection.
  return { ...once(), bodySerializer: () => bytes.stream(), headers, duplex: "half", credentials: "omit" } as const;
}

/** Dials, once; gives the callback's id, or the outcome where there is none. */
async function dial(body: components["schemas"]["InitCallbackRequest"]): Promise<number | Outcome> {
  try {
    const { data, error, response } = await client.POST("/callback/init", { body, ...unrepeated(body) });
    if (REFUSALS.has(response.status)) return told("rejected", "TENIOS said no:", response.status, error?.error_message);
    // The contract says a number; some servers write it as text. One above 2 ** 53 has been rounded to another callback's.
    const id: unknown = response.status === 200 ? data?.id : undefined;
    if (typeof id !== "object" && /^\d+$/.test(String(id)) && Number.isSafeInteger(Number(id))) return Number(id);
    return told("unknown", "Telephones may be ringing: no id that can be used in the answer,", response.status);
  } catch (failure) {
    if (NOT_CONNECTED.has(why(failure))) return told("rejected", "Nothing was sent:", why(failure));
    return told("unknown", "Telephones may be ringing:", why(failure));
  }
}

/** Asks until the callback is over. A question that fails is no news. */
async function follow(body: components["schemas"]["CallbackStatusRequest"]): Promise<Outcome> {
  for (let last: string | undefined; ; ) {
    let wait = pause;
    try {
      const { data, error, response } = await client.POST("/callback/status", { body, ...once() });
      const refused = response.status === 400 && error?.error_code === "BAD_CREDENTIALS";
      if (refused || [401, 403].includes(response.status)) {
        return told("lost_sight", "The callback goes on, but TENIOS refuses to say how far it is:", response.status);
      }
      const status: unknown = response.status === 200 ? data?.status : undefined;
      if (typeof status !== "string" || status === "") {
        tell("Asking again:", response.status);
        const after = response.headers.get("Retry-After") ?? "";
        // A date is not understood.
        if (/^\d+$/.test(after)) wait = Math.max(pause, Math.min(Number(after), LONGEST_PAUSE));
      } else if (status !== last) {
        last = status;
        console.log(hidden(status));
        const meaning = (MEANINGS as Record<string, Meaning | undefined>)[status];
        tell(meaning?.says ?? "a status that this program does not know");
        if (meaning?.outcome) return meaning.outcome;
      }
    } catch (failure) {
      tell("Asking again:", why(failure));
    }
    await sleep(wait * 1000);
  }
}

async function main(): Promise<Outcome> {
  const usable = /^https?:\/\//i.test(baseUrl) && URL.canParse(baseUrl) && pause >= 0 && pause <= LONGEST_PAUSE;
  if (!usable) return told("rejected", "Nothing was sent: TENIOS_BASE_URL or POLL_SECONDS is not usable.");
  if (!number || !/^\d{0,9}$/.test(delay ?? "")) {
    return told("rejected", "Nothing was sent; usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]");
  }
  const dialled = await dial({
    access_key: TENIOS_ACCESS_KEY,
    callback_config_id: TENIOS_CALLBACK_CONFIG_ID,
    callback_number: number,
    delay: Number(delay || 0),
    ...(announcement && { agent_announcement: announcement }),
    ...(key && { dtmf_key_to_trigger_customer_call: key }),
  });
  return typeof dialled === "string" ? dialled : follow({ access_key: TENIOS_ACCESS_KEY, id: dialled });
}

const outcome = await main();
console.log(outcome);
process.exitCode = EXIT_CODES[outcome];
