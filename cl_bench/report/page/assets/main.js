// The page: filters, order and the open run follow from its address, whatever changes that.

const tables = [...document.querySelectorAll("table.board, table.runs")];
const drawnRows = new Map();
const controls = document.getElementById("controls");
const runPlace = document.getElementById("run");
const { title } = document;
let openRun = "";
let scrolled = 0;

function applyFilters(state) {
  let [shown, all] = [0, 0];
  for (const row of tables.flatMap((table) => [...table.tBodies[0].rows])) {
    row.hidden = !passes(row, state) || isFolded(row);
    if (row.closest("table").matches(".board.streamed") && !row.dataset.under) {
      all++;
      shown += !row.hidden;
    }
  }
  hideEmpty(state);
  hideNotes();
  const rows = counted(all, "row");
  controls.querySelector("output").textContent = shown === all ? rows : `${shown} of ${rows}`;
}

/** Hide the notes and reasons below tables that are of no row and no column that is shown. */
function hideNotes() {
  const isShown = (link) => !link.closest("tr").hidden && getComputedStyle(link.closest("td")).display !== "none";
  const shown = [...document.querySelectorAll("table.board sup a")].filter(isShown);
  const told = new Set(shown.map((link) => link.hash.slice(1)));
  for (const note of document.querySelectorAll(".footnotes li")) note.hidden = !told.has(note.id);
  for (const note of document.querySelectorAll(".notes li[data-of]")) {
    note.hidden = document.getElementById(note.dataset.of).hidden;
  }
}

/** Hide what the filters left nothing of, and the links that lead there. */
function hideEmpty(state) {
  const places = [...document.querySelectorAll(".board-section")];
  for (const place of places) place.hidden = !someShown(place, "table.board tbody tr");
  const alone = document.getElementById("alone");
  if (alone) alone.hidden = !someShown(alone, ".board-section");
  const overall = document.getElementById("overall");
  if (overall) {
    overall.hidden = Boolean(state.stream || state.status) || !someShown(overall, "tbody tr");
  }
  for (const link of document.querySelectorAll("nav a")) {
    link.parentElement.hidden = document.getElementById(link.hash.slice(1)).hidden;
  }
}

/** Whether something of this kind is shown; nothing was hidden where there never was any. */
function someShown(place, kind) {
  const all = [...place.querySelectorAll(kind)];
  return !all.length || all.some((each) => !each.hidden);
}

/** Pixels of a figure's panels on paper: at the top, beside others, alone. */
const PAPER = { hero: 340, panels: 225, panel: 340 };

/** Paper shows every board: folded ones are opened for it, and figures drawn for its width. */
function printAll() {
  let opened = [];
  const canvases = () => document.querySelectorAll("#all .canvas, #hero .canvas");
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.board-section:not([open])")];
    for (const fold of opened) fold.open = true;
    for (const each of canvases()) {
      const kind = each.closest(".hero") ? "hero" : each.parentElement.className;
      paint(each, PAPER[kind] ?? PAPER.panel);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    for (const each of canvases()) paint(each, each.clientWidth);
  });
}

/** Places of rows whose other settings are shown. */
const unfolded = new Set();
const isFolded = (row) => Boolean(row.dataset.under) && !unfolded.has(row.dataset.under);

/** A learner's other settings fold under its row; those of one that is alone on its board are open. */
function foldSettings() {
  for (const button of document.querySelectorAll("table.board button[aria-expanded]")) {
    const { lead } = button.closest("tr").dataset;
    if (button.closest("tbody").querySelectorAll("tr[data-lead]").length === 1) unfolded.add(lead);
    button.addEventListener("click", () => {
      if (!unfolded.delete(lead)) unfolded.add(lead);
      showFolds();
      applyFilters(readState());
    });
  }
  showFolds();
}

function showFolds() {
  for (const button of document.querySelectorAll("table.board button[aria-expanded]")) {
    button.setAttribute("aria-expanded", String(unfolded.has(button.closest("tr").dataset.lead)));
  }
}

/** On a narrow screen a board shows the columns that have room; a button shows all. */
function offerColumns(table) {
  const button = make("button", { type: "button", class: "columns", "aria-pressed": "false" }, "All columns");
  button.addEventListener("click", () => {
    const all = table.classList.toggle("all-columns");
    button.setAttribute("aria-pressed", String(all));
    button.textContent = all ? "Fewer columns" : "All columns";
    hideNotes();
  });
  table.parentElement.after(button);
}

/** Draw the figure at the top, and the boards, of which the rows have changed. */
function drawBoards() {
  const shownInHero = (page.hero?.rows ?? []).filter(({ row }) => !document.getElementById(row)?.hidden);
  const heroKey = shownInHero.map(({ row }) => row).join(" ");
  if (drawnRows.get(page) !== heroKey) drawHero(page.hero, (id) => heroKey.split(" ").includes(id));
  drawnRows.set(page, heroKey);
  for (const board of page.boards) {
    const ids = board.rows.map((row) => row.row).filter((id) => !document.getElementById(id)?.hidden);
    const key = ids.join(" ");
    if (drawnRows.get(board) === key) continue;
    drawnRows.set(board, key);
    drawBoard(board, new Set(ids));
  }
}

function fillControls(state) {
  for (const control of controls.querySelectorAll("[name]")) {
    if (document.activeElement !== control || control.tagName === "SELECT") {
      control.value = state[control.name] ?? "";
    }
  }
}

async function apply() {
  const state = readState();
  document.body.classList.toggle("one-run", Boolean(state.run));
  fillControls(state);
  if ((state.run ?? "") !== openRun) await changeRun(state.run ?? "");
  if (state.run) return;
  applyFilters(state);
  for (const table of tables) {
    sortTable(table, state);
    showRanks(table, state);
  }
  drawBoards();
}

async function changeRun(name) {
  if (!openRun) scrolled = window.scrollY;
  openRun = name;
  document.title = name ? visible(name) : title;
  if (name) {
    await showRun(name, runPlace);
    window.scrollTo(0, 0);
    document.getElementById("run-title")?.focus({ preventScroll: true });
  } else {
    runPlace.replaceChildren();
    window.scrollTo(0, scrolled);
  }
}

function listen() {
  let [waiting, changes] = [0, {}];
  controls.hidden = false;
  if (NARROW.matches) controls.parentElement.open = false;
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("input", (event) => {
    const { name, value } = event.target;
    clearTimeout(waiting);
    changes[name] = value.trim();
    const change = () => {
      changeState(changes);
      changes = {};
    };
    waiting = setTimeout(change, name === "text" ? 150 : 0);
  });
  controls.querySelector("button").addEventListener("click", () => {
    changeState(Object.fromEntries(KEYS.map((key) => [key, ""])));
  });
  // A link to a place on the page, or to a run, leaves the filters as they are.
  document.addEventListener("click", (event) => {
    const href = event.target.closest?.("a[href^='#']")?.getAttribute("href");
    if (!href || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (href.startsWith("#run=")) {
      event.preventDefault();
      const run = new URLSearchParams(href.slice(1)).get("run");
      history.pushState(null, "", addressOf({ ...readState(), run }));
      apply();
    } else if (href.length > 1 && !href.includes("=")) {
      event.preventDefault();
      document.getElementById(href.slice(1))?.scrollIntoView();
    }
  });
  for (const event of ["hashchange", "popstate", "statechange"]) window.addEventListener(event, apply);
}

for (const table of tables) makeSortable(table);
for (const table of tables) if (table.matches(".streamed, .overall")) offerColumns(table);
listenForChoices();
foldSettings();
NARROW.addEventListener("change", hideNotes);
listen();
printAll();
apply();
