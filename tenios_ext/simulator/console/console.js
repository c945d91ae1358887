// The simulator's console. The server sends its whole state whenever it changes; everything shown is set as text, never as HTML.

const MEANINGS = {
  REQUESTED: "requested",
  ACCEPTED: "accepted, nobody is called yet",
  CALLING_A: "agent's telephone rings",
  CALL_A_FAILED: "agent was not reached",
  CALLING_B: "customer's telephone rings",
  CALL_B_FAILED: "customer was not reached",
  CONNECTED: "they talk",
  DISCONNECTED: "they have talked",
};
const MOVES = {
  agent_answers: "Agent answers",
  agent_declines: "Agent declines",
  customer_answers: "Customer answers",
  customer_declines: "Customer declines",
  hang_up: "Hang up",
};

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString();
}

async function send(method, path, body) {
  $("problem").textContent = "";
  try {
    const options = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(`/_simulator/${path}`, { method, ...options });
    if (answer.ok) return answer;
    $("problem").textContent = (await answer.json()).error_message;
  } catch {
    $("problem").textContent = "The simulator does not answer. Is it running?";
  }
  return null;
}

// What is shown changes only where the state did, so that focus and open details stay where they are.
function reconcile(parent, items, keyOf, make, update) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    let child = present.get(key);
    present.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });
  for (const gone of present.values()) gone.remove();
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function makeCallback(callback) {
  const title = element("h3", { id: `callback-${callback.id}` }, `Callback ${callback.id}`);
  const card = element(
    "article",
    {},
    element("header", {}, title, element("span", { className: "number" }), element("span", { className: "state" })),
    element("p", { className: "about" }),
    element("ol", { className: "course" }),
    element("div", { className: "moves" }),
  );
  card.setAttribute("aria-labelledby", title.id);
  return card;
}

function updateCallback(card, callback) {
  const state = card.querySelector(".state");
  put(card.querySelector(".number"), callback.number);
  put(state, `${callback.status}: ${MEANINGS[callback.status] ?? "unknown"}`);
  state.dataset.end = callback.over ? (callback.status === "DISCONNECTED" ? "good" : "bad") : "";
  const about = [`configuration ${callback.config_id}`];
  if (callback.delay) about.push(`delay ${callback.delay} s`);
  if (callback.announcement) about.push(`announcement “${callback.announcement}”`);
  if (callback.dtmf_key) about.push(`agent presses ${callback.dtmf_key}`);
  put(card.querySelector(".about"), about.join(" · "));
  reconcile(
    card.querySelector(".course"),
    callback.history,
    (step) => step.status,
    () => element("li"),
    (item, step) => put(item, `${step.status} ${clock(step.at)}`),
  );
  const moves = card.querySelector(".moves");
  const hadFocus = moves.contains(document.activeElement);
  reconcile(
    moves,
    callback.moves,
    (move) => move,
    (move) => element("button", {
      type: "button",
      onclick: () => send("POST", `callbacks/${callback.id}/moves`, { move }),
    }),
    (button, move) => {
      put(button, MOVES[move]);
      button.setAttribute("aria-label", `${MOVES[move]}, callback ${callback.id}`);
    },
  );
  // A button that was pressed is gone; whoever uses the keyboard goes on with the next one.
  if (hadFocus && !moves.contains(document.activeElement)) (moves.firstElementChild ?? $("callbacks")).focus();
}

function makeRequest() {
  return element("details", {}, element("summary"), element("pre", { tabIndex: 0 }));
}

function updateRequest(details, { at, operation, request, answer, fault }) {
  const result = answer.lost ? `connection ${answer.lost}` : `${answer.status} ${JSON.stringify(answer.body)}`;
  put(details.querySelector("summary"), `${clock(at)} ${operation} → ${result}${fault ? ` (fault: ${fault})` : ""}`);
  put(details.querySelector("pre"), JSON.stringify({ request, answer }, null, 2));
}

const known = new Map();
let isFirst = true;

function announce(callbacks) {
  const news = [];
  for (const { id, status } of callbacks) {
    if (known.get(id) !== status && !isFirst) news.push(`Callback ${id}: ${MEANINGS[status] ?? status}.`);
  }
  known.clear();
  for (const { id, status } of callbacks) known.set(id, status);
  isFirst = false;
  if (news.length) $("news").textContent = news.join(" ");
}

function show(state) {
  announce(state.callbacks);
  $("none").hidden = state.callbacks.length > 0;
  reconcile($("list"), state.callbacks.toReversed(), (each) => each.id, makeCallback, updateCallback);
  reconcile($("requests"), state.requests.toReversed(), (each) => each.number, makeRequest, updateRequest);
  const faults = state.faults.map(({ kind, on, number, nth, times, probability, ...rest }) => {
    const detail = Object.values(rest).filter((value) => value !== null && value !== false).join(" ");
    const often = times === null ? "always" : times === 1 ? "once" : `${times} times`;
    const each = on === "status" ? " for each callback" : "";
    const chance = probability < 1 ? ` with probability ${probability}` : "";
    return `${kind} ${detail} on ${on}, ${often}${each}${chance}${nth > 1 ? ` from number ${nth}` : ""}${number ? ` for ${number}` : ""}`;
  });
  reconcile($("faults"), faults.map((text, index) => ({ text, index })), (each) => each.index,
    () => element("li"), (item, { text }) => put(item, text));
  // As above: the button that was pressed goes.
  if (faults.length === 0 && document.activeElement === $("clear")) $("fault").querySelector("button").focus();
  $("clear").hidden = faults.length === 0;
}

function forgetDecision() {
  $("decided").textContent = "";
  $("journey").reset();
}

function connect() {
  const stream = new EventSource("/_simulator/events");
  const tell = (state, text) => {
    $("connection").dataset.state = state;
    put($("connection"), text);
  };
  stream.onopen = () => {
    tell("live", "Live");
    $("problem").textContent = "";
    forgetDecision(); // It may be another server, which knows nothing of it.
  };
  stream.onmessage = (event) => show(JSON.parse(event.data));
  stream.onerror = () => {
    tell("lost", "Connection lost, trying again");
    // A browser tries again by itself unless it was answered with an error.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 500);
  };
}

function onSubmit(id, act) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(Object.fromEntries(new FormData(event.target)));
  });
}

const bare = (number) => number.replaceAll(" ", "");

onSubmit("dial", async ({ number, delay }) => {
  const done = await send("POST", "callbacks", { number: bare(number), delay: Number(delay) });
  const { status, body, lost } = done ? await done.json() : { status: 200 };
  if (lost) $("problem").textContent = `The connection was ${lost}.`;
  else if (status !== 200) $("problem").textContent = `HTTP ${status} ${body.error_message ?? ""}`;
});
onSubmit("journey", async ({ name, number }) => {
  const text = $("journey").elements.name.selectedOptions[0].textContent;
  const isDone = await send("POST", "journeys", number ? { name, number: bare(number) } : { name });
  $("decided").textContent = isDone ? `Callbacks to ${number || "all numbers"}: ${text}.` : "";
});
onSubmit("fault", ({ kind, on, times, detail }) => {
  const { field } = $("fault").elements.kind.selectedOptions[0].dataset;
  const value = field === "name" ? detail : Number(detail);
  send("POST", "faults", { kind, on, times: times ? Number(times) : null, ...(field ? { [field]: value } : {}) });
});
onSubmit("reset", async () => {
  if (await send("POST", "reset")) forgetDecision();
});
$("clear").addEventListener("click", () => send("DELETE", "faults"));
$("fault").elements.kind.addEventListener("change", (event) => {
  const { field, value } = event.target.selectedOptions[0].dataset;
  $("detail").hidden = !field;
  $("detail").querySelector("span").textContent = field ?? "";
  $("detail").querySelector("input").value = value ?? "";
});

connect();
const numbers = await fetch("/_simulator/numbers").then((answer) => answer.json());
$("numbers").append(...numbers.map(({ shown, meaning }) => element("option", { value: shown, label: meaning })));
