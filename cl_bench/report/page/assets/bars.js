// Amounts: stacked bars of what was spent, and dots with intervals for gains and losses.

const PATTERNS = ["solid", "striped", "dotted", "open"];

/** Stacked bars. `rows`: [{label, look?, parts: {name: amount}}]; `names`: words for the parts. */
function stacked({ title, rows, names, write: shown }) {
  const total = (row) => sum(Object.values(row.parts));
  const most = Math.max(...rows.map(total), 0);
  const kinds = Object.keys(names);
  const lines = rows.map((row) => {
    const segments = kinds.map((kind, place) => {
      const amount = row.parts[kind] ?? 0;
      const segment = make("span", {
        class: `segment ${PATTERNS[place % PATTERNS.length]}`,
        title: `${names[kind]}: ${shown(amount)}`,
      });
      segment.style.width = most ? `${(100 * amount) / most}%` : "0";
      return segment;
    });
    return make(
      "div",
      { class: "bar-row" },
      make("span", { class: "bar-name" }, row.look ? [swatch(row.look), " "] : null, row.label),
      make("span", { class: "bar-track", "aria-hidden": "true" }, segments),
      make("span", { class: "bar-total" }, shown(total(row))),
    );
  });
  const key = kinds.map((kind, place) =>
    make(
      "li",
      {},
      make("span", { class: `segment key ${PATTERNS[place % PATTERNS.length]}` }),
      ` ${names[kind]}`,
    ),
  );
  return make(
    "div",
    { class: "stacked-bars" },
    make("p", { class: "panel-name" }, title),
    lines,
    make("ul", { class: "legend" }, key),
  );
}

const FOREST = { right: 18, top: 8, row: 16, gap: 10, bottom: 36 };

/** A text in lines that take at most `room` pixels, broken between words where that is possible. */
function wrapped(text, room, font) {
  const found = [""];
  for (const sign of text.match(/\S+\s*/gu) ?? []) {
    const pieces = textWidth(sign, font) <= room ? [sign] : [...sign];
    for (const piece of pieces) {
      if (textWidth((found.at(-1) + piece).trim(), font) <= room || !found.at(-1)) found[found.length - 1] += piece;
      else found.push(piece);
    }
  }
  return found.map((line) => line.trim());
}

/**
 * Dots with intervals. `groups`: [{label, items: [{label, look, value, low?, high?, seeds?}]}];
 * `x`: {label, domain, format}; `heading` stands above, `row` is an item's height. Names are wrapped.
 */
function forest(spec, width) {
  const longest = Math.max(...spec.groups.map((group) => textWidth(group.label)), 1);
  const side = { ...FOREST, left: Math.min(14 + longest, width * 0.42), row: spec.row ?? FOREST.row };
  if (spec.heading) side.top += 20;
  const names = spec.groups.map((group) => wrapped(group.label, side.left - 12));
  const heights = spec.groups.map(
    (group, place) => Math.max(group.items.length * side.row, names[place].length * 13) + side.gap,
  );
  const height = side.top + sum(heights) + side.bottom;
  const across = linear(spec.x.domain, [side.left, width - side.right]);
  const svg = drawing(spec.title, width, height);
  if (spec.heading) svg.append(draw("text", { class: "axis-name", x: 2, y: 13 }, spec.heading));
  svg.append(...forestAxis(spec, across, width, height, side));
  let top = side.top;
  for (const [place, group] of spec.groups.entries()) {
    const first = top + (heights[place] - side.gap) / 2 + 4 - (names[place].length - 1) * 6.5;
    for (const [line, text] of names[place].entries()) {
      svg.append(draw("text", { class: "row-name end", x: side.left - 10, y: first + 13 * line }, text));
    }
    for (const [number, item] of group.items.entries()) {
      svg.append(forestItem(item, across, top + (number + 0.5) * side.row, spec.x));
    }
    top += heights[place];
  }
  return svg;
}

function forestAxis(spec, across, width, height, side) {
  const found = [];
  const bottom = height - side.bottom;
  const count = Math.max(4, Math.floor((width - side.left - side.right) / 60));
  for (const value of ticks(...spec.x.domain, count)) {
    const x = across(value);
    const kind = value === 0 ? "zero" : "grid";
    found.push(
      draw("path", { class: kind, d: `M${x} ${side.top}V${bottom}` }),
      draw("text", { class: "tick middle", x, y: bottom + 16 }, (spec.x.tick ?? spec.x.format)(value)),
    );
  }
  const name = { class: "axis-name end", x: width - side.right, y: height - 4 };
  found.push(draw("text", name, spec.x.label));
  return found;
}

function forestItem(item, across, y, axis) {
  const group = draw("g", { class: `line ${hue(item.look)}` });
  if (item.value === null) return group;
  for (const seed of item.seeds ?? []) {
    if (seed === null) continue;
    group.append(draw("circle", { class: "dot", cx: across(seed), cy: y, r: 1.8 }));
  }
  const known = item.low !== null && item.low !== undefined;
  if (known) group.append(draw("path", { class: "stroke", d: `M${across(item.low)} ${y}H${across(item.high)}` }));
  const ends = known ? ` [${axis.format(item.low)}, ${axis.format(item.high)}]` : "";
  const said = draw("title", {}, `${item.label}: ${axis.format(item.value)}${ends}`);
  const where = `translate(${across(item.value)} ${y})`;
  group.append(draw("path", { class: "fill", d: MARKER[item.look.marker], transform: where }, said));
  return group;
}

/** The numbers of a forest as a table. */
function forestNumbers(spec) {
  const names = spec.groups[0]?.items.map((item) => item.label) ?? [];
  const cell = (item) => {
    const shown = spec.x.format(item.value);
    const known = item.low !== null && item.low !== undefined;
    return known ? `${shown} [${spec.x.format(item.low)}, ${spec.x.format(item.high)}]` : shown;
  };
  const rows = spec.groups.map((group) => [group.label, ...group.items.map(cell)]);
  return makeTable(`${spec.title} (${spec.x.label})`, ["", ...names], rows);
}
