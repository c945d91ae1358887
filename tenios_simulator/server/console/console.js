// The simulator's console. The server sends the whole state after each change. Values are set as text, never as HTML.

const STATUS_TEXT = {
  REQUESTED: "requested",
  ACCEPTED: "accepted, no phone is ringing yet",
  CALLING_A: "the agent's phone is ringing",
  CALL_A_FAILED: "the agent could not be reached",
  CALLING_B: "the customer's phone is ringing",
  CALL_B_FAILED: "the customer could not be reached",
  CONNECTED: "connected",
  DISCONNECTED: "the call has ended",
};
const ACTION_TEXT = {
  agent_answers: "Answer as agent",
  agent_declines: "Decline as agent",
  customer_answers: "Answer as customer",
  customer_declines: "Decline as customer",
  hang_up: "Hang up",
};
const DISCONNECT_TEXT = { close: "connection closed", reset: "connection reset" };

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function formatTime(timestamp) {
  return new Date(timestamp * 1000).toLocaleTimeString();
}

async function send(method, path, body) {
  $("error").textContent = "";
  try {
    const options = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(`/_simulator/${path}`, { method, ...options });
    if (response.ok) return response;
    $("error").textContent = (await response.json()).error_message;
  } catch {
    $("error").textContent = "The simulator does not respond. Check that it is running.";
  }
  return null;
}

// Updates only what differs, to keep the focus and open details.
function reconcile(parent, items, keyOf, create, update) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    let child = present.get(key);
    present.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });
  for (const removed of present.values()) removed.remove();
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function createCallback(callback) {
  const title = element("h3", { id: `callback-${callback.id}` }, `Callback ${callback.id}`);
  const card = element(
    "article",
    {},
    element("header", {}, title, element("span", { className: "number" }), element("span", { className: "status" })),
    element("p", { className: "details" }),
    element("ol", { className: "history" }),
    element("div", { className: "actions" }),
  );
  card.setAttribute("aria-labelledby", title.id);
  return card;
}

function updateCallback(card, callback) {
  const status = card.querySelector(".status");
  setText(card.querySelector(".number"), callback.number);
  setText(status, `${callback.status}: ${STATUS_TEXT[callback.status] ?? "unknown"}`);
  status.dataset.result = callback.is_final ? (callback.status === "DISCONNECTED" ? "connected" : "failed") : "";
  const details = [`configuration ${callback.callback_config_id}`];
  if (callback.delay) details.push(`delay ${callback.delay}\u00a0s`);
  if (callback.agent_announcement) details.push(`announcement “${callback.agent_announcement}”`);
  if (callback.dtmf_key) details.push(`agent must press ${callback.dtmf_key}`);
  setText(card.querySelector(".details"), details.join(" · "));
  reconcile(
    card.querySelector(".history"),
    callback.history,
    (change) => change.status,
    () => element("li"),
    (item, change) => setText(item, `${change.status} ${formatTime(change.timestamp)}`),
  );
  const actions = card.querySelector(".actions");
  const hadFocus = actions.contains(document.activeElement);
  reconcile(
    actions,
    callback.actions,
    (action) => action,
    (action) => element("button", {
      type: "button",
      onclick: () => send("POST", `callbacks/${callback.id}/actions`, { action }),
    }),
    (button, action) => {
      setText(button, ACTION_TEXT[action]);
      button.setAttribute("aria-label", `${ACTION_TEXT[action]}, callback ${callback.id}`);
    },
  );
  // For keyboard users, move the focus from a button that has been removed to the next one.
  if (hadFocus && !actions.contains(document.activeElement)) (actions.firstElementChild ?? $("callbacks")).focus();
}

function createRequest() {
  return element("details", {}, element("summary"), element("pre", { tabIndex: 0 }));
}

function updateRequest(details, { timestamp, operation, callback_id, body, response, fault }) {
  const result = DISCONNECT_TEXT[response.disconnect] ?? `${response.status} ${JSON.stringify(response.body)}`;
  const suffix = fault ? ` (fault: ${fault})` : "";
  const subject = callback_id === null ? operation : `${operation} of callback ${callback_id}`;
  setText(details.querySelector("summary"), `${formatTime(timestamp)} ${subject} → ${result}${suffix}`);
  setText(details.querySelector("pre"), JSON.stringify({ request: body, response }, null, 2));
}

function describeFault({ kind, on, number, nth, times, probability, ...details }) {
  const detail = Object.values(details).filter((value) => value !== null && value !== false).map((value) => ` ${value}`).join("");
  const often = times === null ? "always" : times === 1 ? "once" : `${times} times`;
  const scope = on === "status" ? " for each callback" : "";
  const start = nth > 1 ? `, starting with request ${nth}` : "";
  const chance = probability < 1 ? `, with probability ${probability}` : "";
  const only = number ? `, only for ${number}` : "";
  return `${kind}${detail} on ${on}, ${often}${scope}${start}${chance}${only}`;
}

const announced = new Map();
let isFirstState = true;

function announce(callbacks) {
  const changes = callbacks.filter(({ id, status }) => announced.get(id) !== status);
  announced.clear();
  for (const { id, status } of callbacks) announced.set(id, status);
  if (changes.length && !isFirstState) {
    $("updates").textContent = changes.map(({ id, status }) => `Callback ${id}: ${STATUS_TEXT[status] ?? status}.`).join(" ");
  }
  isFirstState = false;
}

function show(state) {
  announce(state.callbacks);
  $("clock").hidden = !state.is_time_simulated;
  $("no-callbacks").hidden = state.callbacks.length > 0;
  reconcile($("callback-list"), state.callbacks.toReversed(), (callback) => callback.id, createCallback, updateCallback);
  reconcile($("request-log"), state.requests.toReversed(), (request) => request.index, createRequest, updateRequest);
  const faults = state.faults.map((fault, index) => ({ text: describeFault(fault), index }));
  reconcile($("faults"), faults, (fault) => fault.index, () => element("li"), (item, { text }) => setText(item, text));
  // Move the focus from "Clear all faults" before it is hidden.
  if (faults.length === 0 && document.activeElement === $("clear")) $("fault").querySelector("button").focus();
  $("clear").hidden = faults.length === 0;
}

function resetScenarioForm() {
  $("scenario-set").textContent = "";
  $("scenario").reset();
}

let stream;
let run;

function connect() {
  stream?.close();
  // A browser opens at most six connections to a host, so hidden tabs use none.
  if (document.hidden) return;
  stream = new EventSource("/_simulator/events");
  const setState = (state, text) => {
    $("connection").dataset.state = state;
    setText($("connection"), text);
  };
  stream.onopen = () => {
    setState("live", "Live");
    $("error").textContent = "";
  };
  stream.onmessage = ({ data, lastEventId }) => {
    if (lastEventId !== run) resetScenarioForm(); // The simulator has been restarted, so this scenario is no longer set.
    run = lastEventId;
    show(JSON.parse(data));
  };
  stream.onerror = () => {
    setState("lost", "Connection lost, reconnecting");
    // The browser reconnects automatically, but not after an error response.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 500);
  };
}

function onSubmit(id, handle) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    handle(Object.fromEntries(new FormData(event.target)));
  });
}

onSubmit("call", async ({ number, delay }) => {
  const sent = await send("POST", "callbacks", { number, delay: Number(delay) });
  if (!sent) return;
  const { status, body, disconnect } = await sent.json();
  if (disconnect) $("error").textContent = `No response: ${DISCONNECT_TEXT[disconnect]}.`;
  else if (status !== 200) $("error").textContent = `HTTP ${status} ${body.error_message ?? ""}`;
});
onSubmit("scenario", async ({ name, number }) => {
  const text = $("scenario").elements.name.selectedOptions[0].textContent;
  const done = await send("POST", "scenarios", number ? { name, number } : { name });
  $("scenario-set").textContent = done ? `Set for ${number || "all numbers"}: ${text}.` : "";
});
onSubmit("fault", ({ kind, on, times, detail }) => {
  const { field } = $("fault").elements.kind.selectedOptions[0].dataset;
  const value = field === "name" ? detail : Number(detail);
  send("POST", "faults", { kind, on, times: times ? Number(times) : null, ...(field ? { [field]: value } : {}) });
});
onSubmit("reset", async () => {
  if (await send("POST", "reset")) resetScenarioForm();
});
$("clear").addEventListener("click", () => send("DELETE", "faults"));
$("fault").elements.kind.addEventListener("change", (event) => {
  const { field, label, value } = event.target.selectedOptions[0].dataset;
  $("detail").hidden = !field;
  $("detail").querySelector("span").textContent = label ?? "";
  $("detail").querySelector("input").value = value ?? "";
});

// On a phone, only "Start a callback" is open above the callbacks.
if (matchMedia("(max-width: 50rem)").matches) for (const each of document.querySelectorAll("form details")) each.open = false;
document.addEventListener("visibilitychange", connect);
connect();
const numbers = await fetch("/_simulator/numbers").then((response) => response.json());
$("numbers").append(...numbers.map(({ display, description }) => element("option", { value: display, label: description })));
