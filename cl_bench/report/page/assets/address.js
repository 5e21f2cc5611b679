// The state of the page is its address: filters, order, and the run that is open.

const FILTERS = ["stream", "learner", "model", "status", "text"];
const KEYS = [...FILTERS, "sort", "order", "run"];

/** What the address says now; an address without `=` is the name of a place on the page. */
function readState() {
  const said = location.hash.slice(1);
  const given = new URLSearchParams(said.includes("=") ? said : "");
  return Object.fromEntries(KEYS.filter((key) => given.get(key)).map((key) => [key, given.get(key)]));
}

function addressOf(state) {
  const given = new URLSearchParams();
  for (const key of KEYS) if (state[key]) given.set(key, state[key]);
  const text = given.toString();
  return text ? `#${text}` : "#";
}

/** Change some entries of the state; a change of filters makes no new entry in the history. */
function changeState(changes) {
  history.replaceState(null, "", addressOf({ ...readState(), ...changes }));
  window.dispatchEvent(new Event("statechange"));
}
