// Item turnover: every test problem of a domain at the start and at every stage's end.

/** The section of a run's items; `turnover` is by domain. */
function itemSection(turnover, stages) {
  const names = Object.keys(turnover);
  if (!names.length) return null;
  return make(
    "section",
    {},
    make("h3", {}, "Item turnover"),
    make(
      "p",
      {},
      "A column is a test problem, a row an evaluation; the stronger its colour, the more of its responses were " +
        "right under the learner’s prompt. Problems are ordered by when they were solved.",
    ),
    names.map((name) => strip(name, turnover[name], stages)),
  );
}

function strip(name, { shares, counts }, stages) {
  const order = [...(shares[0] ?? "")].map((_, place) => place);
  const key = (place) => shares.map((row) => row[place]).join("");
  order.sort((one, other) => (key(one) < key(other) ? 1 : key(one) > key(other) ? -1 : one - other));
  const moments = ["before", ...stages.map((stage, place) => `after ${place + 1} ${stage.name}`)];
  const rows = counts.map((each, place) => [moments[place + 1] ?? String(place), changeWords(each)]);
  return make(
    "div",
    { class: "strip" },
    make("p", { class: "panel-name" }, `${name}, ${counted(order.length, "problem")}`),
    canvas((width) => stripDrawing(name, shares, order, moments, width)),
    makeTable(null, ["", "since the row above"], rows, "plain small"),
  );
}

const changeWords = ([kept, gained, lost, never]) =>
  `${kept} kept, ${gained} gained, ${lost} lost, ${never} unsolved at both`;

function stripDrawing(name, shares, order, moments, width) {
  const tall = 16;
  const longest = Math.max(...moments.map((moment) => textWidth(moment))) + 12;
  if (longest > width * 0.4) moments = moments.map((moment, place) => (place ? `after ${place}` : moment));
  const left = Math.min(longest, width * 0.4);
  const wide = (width - left) / Math.max(order.length, 1);
  const height = shares.length * (tall + 3) + 2;
  const svg = draw("svg", {
    class: "chart strip-chart",
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": `Problems of ${name} by evaluation`,
  });
  for (const [number, row] of shares.entries()) {
    const y = number * (tall + 3);
    const label = { class: "tick end", x: left - 8, y: y + 12 };
    svg.append(draw("text", label, moments[number] ?? ""));
    for (const [place, item] of order.entries()) {
      const x = (left + place * wide).toFixed(2);
      const size = { x, y, width: Math.max(wide - 0.6, 0.4).toFixed(2), height: tall };
      svg.append(draw("rect", { class: `share s${row[item]}`, ...size }));
    }
  }
  return svg;
}
