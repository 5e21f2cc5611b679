// Matrices as heat maps: tables whose cells are shaded, so that every number can be read.

/** Shares of shading, in percent, above which dark ground needs white ink (DEEP) and, in the dark
 * scheme, light ground black ink (MIDDLING), so that every contrast is 4.5 at least. */
const DEEP = { accuracy: 76, divergence: 74 };
const MIDDLING = 55;

/** The value that is darkest, and a sentence on it: the largest, but where a few cells lie far beyond
 * the others, as of a run that diverged, the 95th percentile. */
function topOf(values) {
  const known = values.filter((value) => value !== null).sort((one, other) => one - other);
  const [largest, high] = [known.at(-1) ?? 0, known[Math.ceil(0.95 * known.length) - 1] ?? 0];
  if (!(largest > 2 * high && high > 0)) return { value: largest, said: "" };
  const shown = write(high, "nats/token");
  return { value: high, said: `Shading of KL ends at ${shown}, the 95th percentile; what lies beyond has a ▸.` };
}

/**
 * A heat map. `values`: rows of numbers or null; `top` is the darkest value; `seen(row, column)`
 * says whether a cell belongs to a task that had been trained by then.
 */
function heatMap({ title, rows, columns, values, top, write: shown, kind, seen }) {
  const cells = values.map((row, number) =>
    row.map((value, column) => {
      const share = Math.round(100 * Math.min(1, Math.max(0, (value ?? 0) / (top || 1))));
      const deep = share > DEEP[kind] ? " deep" : share > MIDDLING ? " middling" : "";
      const outline = seen?.(number, column) ? " trained" : "";
      const beyond = value > top * 1.0001 ? "▸ " : "";
      const cell = make("td", { class: `heat${deep}${outline}` }, beyond, shown(value));
      cell.style.setProperty("--share", `${share}%`);
      return cell;
    }),
  );
  const body = rows.map((name, number) =>
    make("tr", {}, make("th", { scope: "row" }, name), cells[number]),
  );
  const table = make(
    "table",
    { class: `matrix ${kind}` },
    make("caption", {}, title),
    make(
      "thead",
      {},
      make("tr", {}, make("th", {}), columns.map((name) => make("th", { scope: "col" }, name))),
    ),
    make("tbody", {}, body),
  );
  return make("div", { class: "wide", tabindex: "0" }, table);
}

/** R and KL of one learner. `accuracy` and `kl`: rows by stage, 0 first; null where nothing is; `most`
 * is what KL is shaded up to (`topOf`). */
function matrixPair(label, stages, accuracy, kl, most, series) {
  const rows = ["base", ...stages.map(({ name }, place) => `${place + 1} ${name}`)];
  const columns = stages.map(({ name }) => name);
  const seen = (row, column) => row > column;
  return make(
    "div",
    { class: "pair", "data-series": series },
    make("p", { class: "pair-name" }, label),
    heatMap({
      title: "R: accuracy, %",
      rows,
      columns,
      values: accuracy,
      top: 1,
      write: (value) => write(value, "%"),
      kind: "accuracy",
      seen,
    }),
    heatMap({
      title: "KL, nats/token",
      rows,
      columns,
      values: kl,
      top: most.value,
      write: (value) => write(value, "nats/token"),
      kind: "divergence",
      seen,
    }),
  );
}

/** Rows of a matrix by stage: `places` are the evaluations at stage ends, `byDomain` the values. */
function atEnds(stages, places, byDomain) {
  return places.map((place) =>
    stages.map(({ name }) => byDomain[name]?.[place] ?? null),
  );
}
