// Figures: drawn at the width that they have, drawn again when that changes, numbers beside them.

const NARROW = window.matchMedia("(max-width: 48rem)");
const widths = new WeakMap();
const drawings = new WeakMap();
const observer = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) paint(target, Math.floor(contentRect.width));
});

function paint(canvas, width) {
  if (!width || Math.abs(width - (widths.get(canvas) ?? 0)) < 2) return;
  widths.set(canvas, width);
  canvas.replaceChildren(drawings.get(canvas)(width));
  if (chosen.pinned || chosen.hovered) bringOut();
}

/** The learner whose intervals and seeds are shown, by its name. */
const chosen = { pinned: "", hovered: "" };

/** Bring out everything of the chosen learner, wherever it is on the page. */
function bringOut() {
  const name = chosen.hovered || chosen.pinned;
  document.body.classList.toggle("choosing", Boolean(name));
  for (const each of document.querySelectorAll("[data-series]")) {
    each.classList.toggle("chosen", each.dataset.series === name);
    if (each.tagName === "BUTTON") each.setAttribute("aria-pressed", each.dataset.series === chosen.pinned);
  }
}

function choose(changes) {
  const before = `${chosen.hovered} ${chosen.pinned}`;
  Object.assign(chosen, changes);
  if (`${chosen.hovered} ${chosen.pinned}` !== before) bringOut();
}

/** Pointing at a learner, in a table, a legend or a figure, chooses it; its button in a legend pins it. */
function listenForChoices() {
  const seriesOf = (event) => event.target.closest?.("[data-series]")?.dataset.series ?? "";
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "mouse") choose({ hovered: seriesOf(event) });
  });
  document.addEventListener("focusin", (event) => choose({ hovered: event.target.matches("button") ? seriesOf(event) : "" }));
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-series]");
    if (!button) return;
    const again = chosen.pinned === button.dataset.series;
    choose({ pinned: again ? "" : button.dataset.series, hovered: "" });
  });
}

/** An element in which `drawing(width)` is shown at whatever width there is. */
function canvas(drawing) {
  const element = make("div", { class: "canvas" });
  drawings.set(element, drawing);
  observer.observe(element);
  return element;
}

/** A figure: title, panels, a note, and on demand its numbers (a function that gives a table). */
function figure(title, panels, { note, numbers, legend, kind = "" } = {}) {
  const inside = [
    make("figcaption", {}, make("strong", {}, title), note ? ` ${note}` : null),
    legend ?? null,
    make("div", { class: panels.length > 1 ? "panels" : "panel" }, panels),
  ];
  if (numbers) inside.push(onDemand("Numbers", numbers));
  return make("figure", { class: `drawn ${kind}`.trim() }, inside);
}

/** A fold whose content is made when it is first opened. */
function onDemand(title, content) {
  const fold = make("details", {}, make("summary", {}, title));
  fold.addEventListener("toggle", () => {
    if (fold.open && fold.children.length === 1) fold.append(content());
  });
  return fold;
}

function swatch(look) {
  return draw(
    "svg",
    {
      class: `swatch ${hue(look)}${look.dashed ? " dashed" : ""}`,
      viewBox: "0 0 26 12",
      width: 26,
      height: 12,
      preserveAspectRatio: "xMidYMid slice",
      "aria-hidden": "true",
    },
    draw("path", { class: "stroke", d: "M1 6H25" }),
    draw("path", { class: "fill", d: MARKER[look.marker], transform: "translate(13 6)" }),
  );
}

/** What the lines are: [{label, look, series?}…], then words for what all have. A series can be chosen. */
function legend(entries, more = []) {
  return make(
    "ul",
    { class: "legend" },
    entries.map(({ label, look, series }) => {
      const said = [swatch(look), " ", label];
      const attributes = { type: "button", class: "series", "data-series": series, "aria-pressed": "false" };
      return make("li", {}, series ? make("button", attributes, said) : said);
    }),
    more.map((text) => make("li", { class: "quiet" }, text)),
  );
}

/** The numbers of lines as a table: a row for each x, a column for each line. */
function lineNumbers(spec) {
  const places = [...new Set(spec.lines.flatMap((line) => line.points.map(([x]) => x)))];
  places.sort((one, other) => one - other);
  const known = spec.lines.map((line) => new Map(line.points));
  const ends = spec.lines.map((line) => new Map((line.band ?? []).map(([x, ...b]) => [x, b])));
  const cell = (place, number) => {
    const value = known[number].get(place);
    if (value === undefined || value === null) return NOTHING;
    const [low, high] = ends[number].get(place) ?? [null, null];
    const shown = spec.y.format(value);
    return low === null ? shown : `${shown} [${spec.y.format(low)}, ${spec.y.format(high)}]`;
  };
  return makeTable(
    `${spec.title} (${spec.y.label})`,
    [spec.x.label, ...spec.lines.map((line) => line.label)],
    places.map((place) => [spec.x.format(place), ...spec.lines.map((_, n) => cell(place, n))]),
  );
}

/** A chart on a canvas. */
const plotted = (spec) => canvas((width) => chart(spec, width));
