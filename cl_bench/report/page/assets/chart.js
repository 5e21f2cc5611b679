// Line charts as SVG: axes with units, shaded stages, means with bands and thin single seeds.

const MARKER = page.markers;
const MARGIN = { left: 44, right: 14, top: 36, bottom: 36 };
const MOST_MARKERS = 16;

/** The class of a look's colour. */
const hue = (look) => `k${look.colour}`;

/**
 * A chart of `width` × `height` pixels.
 *
 * `x` and `y`: {label, domain: [low, high], format, whole?}. `stages`: [{name, steps}] shades the
 * ground. `lines`: [{label, look, points: [[x, y]…], band: [[x, low, high]…]?, seeds: [points…]?,
 * marks?: false, ends?: true, cross?}]. `levels`: {values, label} is a horizontal band with a
 * tick for every value.
 */
function chart(spec, width) {
  const height = spec.height ?? 230;
  const across = (spec.x.floor ? logarithmic : linear)(
    spec.x.domain,
    [MARGIN.left, width - MARGIN.right],
  );
  const up = linear(spec.y.domain, [height - MARGIN.bottom, MARGIN.top]);
  const svg = drawing(spec.title, width, height);
  svg.append(...ground(spec, across, height), ...axes(spec, across, up, width, height, MARGIN));
  const clip = { left: MARGIN.left, right: width - MARGIN.right };
  const [acrossWithin, upWithin] = [within(spec.x.domain, across), within(spec.y.domain, up)];
  for (const line of spec.lines) svg.append(aura(line, acrossWithin, upWithin));
  if (spec.levels) svg.append(...levelBand(spec.levels, up, clip));
  for (const line of spec.lines) svg.append(lineOf(line, across, up, spec));
  if (!spec.lines.length) {
    const middle = { x: width / 2, y: height / 2, class: "tick middle" };
    svg.append(draw("text", middle, "nothing to draw"));
  }
  return svg;
}

const ruler = document.createElement("canvas").getContext("2d");

/** The pixels that a text of a drawing takes. */
function textWidth(text, font = "11px system-ui, sans-serif") {
  ruler.font = font;
  return ruler.measureText(text).width;
}

/** An empty drawing. */
function drawing(title, width, height) {
  const box = { viewBox: `0 0 ${width} ${height}`, width, height };
  return draw("svg", { class: "chart", ...box, role: "img", "aria-label": title });
}

function linear([low, high], [from, to]) {
  const span = high - low || 1;
  return (value) => Number((from + ((value - low) / span) * (to - from)).toFixed(1));
}

/** The same place for everything beyond an end: intervals by t know no bounds, drawings do. */
const within = ([low, high], place) => (value) => place(Math.min(high, Math.max(low, value)));

/** A logarithmic axis, on which 0 stands where its domain begins. */
function logarithmic([low, high], ends) {
  const place = linear([Math.log(low), Math.log(high)], ends);
  return (value) => place(Math.log(Math.max(value, low)));
}

/** The axis of divergences of `values`: logarithmic where they span more than a factor of 20. */
function klAxis(values) {
  const known = values.filter((value) => value > 0);
  const label = "KL(policy ‖ base), nats/token";
  const format = (value) => precisely(value, 3);
  const most = Math.max(...known, 1e-4);
  const least = Math.min(...known, most);
  if (most / least < 20) return { label, domain: [0, most * 1.05], format };
  const floor = 10 ** Math.floor(Math.log10(least));
  return {
    label: `${label}, logarithmic`,
    domain: [floor, most * 1.2],
    floor,
    format: (value) => (value <= floor ? `≤ ${format(floor)}` : format(value)),
  };
}

/** Powers of ten from `low` to `high`. */
function powers([low, high]) {
  const found = [];
  for (let value = low; value <= high * 1.001; value *= 10) found.push(Number(value.toPrecision(3)));
  return found;
}

/** The stages as bands with their names above. */
function ground(spec, across, height) {
  const found = [];
  const stages = spec.stages ?? [];
  const room = stages.map((stage) => across(stage.steps) - across(0));
  const named = stages.every(({ name }, place) => textWidth(name) + 6 < room[place]);
  let start = 0;
  for (const [place, stage] of stages.entries()) {
    const [left, right] = [across(start), across(start + stage.steps)];
    found.push(
      draw("rect", {
        class: place % 2 ? "stage odd" : "stage",
        x: left,
        y: MARGIN.top,
        width: Math.max(right - left, 0),
        height: height - MARGIN.bottom - MARGIN.top,
      }),
      draw(
        "text",
        { class: "tick middle", x: (left + right) / 2, y: MARGIN.top - 6 },
        named ? stage.name : String(place + 1),
      ),
    );
    if (place) {
      const line = `M${left} ${MARGIN.top}V${height - MARGIN.bottom}`;
      found.push(draw("path", { class: "boundary", d: line }));
    }
    start += stage.steps;
  }
  return found;
}

/** What the stages' numbers stand for, where their names have no room. */
const stageNames = (stages) => stages.map(({ name }, place) => `${place + 1} ${name}`).join(", ");

function axes(spec, across, up, width, height, margin) {
  const found = [];
  const bottom = height - margin.bottom;
  for (const value of ticks(...spec.y.domain, 4)) {
    const y = up(value);
    found.push(
      draw("path", { class: "grid", d: `M${margin.left} ${y}H${width - margin.right}` }),
      draw("text", { class: "tick end", x: margin.left - 6, y: y + 4 }, spec.y.format(value)),
    );
  }
  const count = Math.max(2, Math.floor((width - margin.left - margin.right) / 70));
  const places = spec.x.floor ? powers(spec.x.domain) : ticks(...spec.x.domain, count, spec.x.whole);
  for (const value of places) {
    const x = across(value);
    found.push(
      draw("path", { class: "axis", d: `M${x} ${bottom}v4` }),
      draw("text", { class: "tick middle", x, y: bottom + 16 }, spec.x.format(value)),
    );
  }
  const line = `M${margin.left} ${bottom}H${width - margin.right}`;
  found.push(
    draw("path", { class: "axis", d: line }),
    draw("text", { class: "axis-name", x: 2, y: 13 }, spec.y.label),
    draw("text", { class: "axis-name end", x: width - margin.right, y: height - 4 }, spec.x.label),
  );
  return found;
}

/** What lies behind a line: its interval and its single seeds. Of one among several `series` it shows
 * when that is chosen. */
function aura(line, across, up) {
  const found = draw("g", { class: line.series ? "aura" : null, "data-series": line.series });
  const band = (line.band ?? []).filter((point) => point.every((value) => value !== null));
  if (band.length > 1) {
    const there = band.map(([x, , high]) => `${across(x)} ${up(high)}`);
    const back = band.map(([x, low]) => `${across(x)} ${up(low)}`).reverse();
    const outline = `M${[...there, ...back].join("L")}Z`;
    found.append(draw("path", { class: `band ${hue(line.look)}`, d: outline }));
  }
  for (const seed of line.seeds ?? []) {
    found.append(draw("path", { class: `seed ${hue(line.look)}`, d: track(seed, across, up) }));
  }
  if (line.cross) found.append(crossOf(line, across, up));
  return found;
}

function levelBand({ values, label }, up, clip) {
  const [high, low] = [up(Math.max(...values)), up(Math.min(...values))];
  const [x, width] = [clip.left, clip.right - clip.left];
  const ticks = values.map((value) => `M${clip.right - 10} ${up(value)}H${clip.right}`).join("");
  return [
    draw("rect", { class: "levels", x, y: high, width, height: low - high }),
    draw("path", { class: "level", d: `M${x} ${high}h${width}M${x} ${low}h${width}` }),
    draw("path", { class: "level-tick", d: ticks }),
    draw("text", { class: "tick", x: clip.left + 4, y: high - 4 }, label),
  ];
}

/** A path through the points; a null interrupts it. */
function track(points, across, up) {
  let begun = false;
  let path = "";
  for (const [x, y] of points) {
    const there = x !== null && y !== null;
    if (there) path += `${begun ? "L" : "M"}${across(x)} ${up(y)}`;
    begun = there;
  }
  return path || "M0 0";
}

/** The intervals of a point, across and up: {x, y, low: [x, y], high: [x, y]}. */
function crossOf({ look, cross: { x, y, low, high } }, across, up) {
  const flat = `M${across(low[0])} ${up(y)}H${across(high[0])}`;
  return draw("path", { class: `interval ${hue(look)}`, d: `${flat}M${across(x)} ${up(low[1])}V${up(high[1])}` });
}

function lineOf(line, across, up, spec) {
  const kind = `line ${hue(line.look)}${line.look.dashed ? " dashed" : ""}`;
  const group = draw("g", { class: kind, "data-series": line.series });
  group.append(draw("path", { class: "stroke", d: track(line.points, across, up) }));
  const known = line.points.filter(([x, y]) => x !== null && y !== null);
  const every = Math.max(1, Math.ceil(known.length / MOST_MARKERS));
  for (const [place, [x, y]] of known.entries()) {
    const last = place === known.length - 1;
    if (line.marks === false || (place % every && !last)) continue;
    const size = line.ends ? (last ? 1.5 : place ? 0.7 : 1.2) : 0.85;
    const kind = line.ends && !place ? "ring" : "fill";
    const where = `translate(${across(x)} ${up(y)}) scale(${size})`;
    const shape = line.ends && !place ? MARKER.o : MARKER[line.look.marker];
    const said = `${line.label}: ${spec.y.format(y)} at ${spec.x.format(x)}`;
    group.append(draw("path", { class: kind, d: shape, transform: where }, draw("title", {}, said)));
  }
  return group;
}
