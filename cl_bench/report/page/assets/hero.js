// The figure at the top: how much is solved against how far the model moved, and what was forgotten.

const FIELD = { left: 44, right: 14, top: 26, bottom: 38, height: 330 };

/** Draw it of the rows that the filters leave; `isShown` tells by a row's id. */
function drawHero(hero, isShown) {
  const rows = (hero?.rows ?? []).filter((row) => isShown(row.row)).slice(0, hero?.most);
  const place = document.getElementById("hero");
  if (!rows.length) {
    place.replaceChildren();
    return;
  }
  const found = figure("Solved, moved, forgotten", [canvas((width) => heroChart(rows, hero.rows, width))], {
    note: `${hero.title}. ${hero.reading}`,
  });
  found.classList.add("hero");
  place.replaceChildren(found);
}

/** The rows on an axis that has room for `all`, so that filters leave every row where it stands. */
function heroChart(rows, all, width) {
  const { height } = FIELD;
  const x = klAxis(all.map(({ kl_policy_base: [kl] }) => kl));
  const y = { ...shareTick, label: "average accuracy, %" };
  const side = [FIELD.left, width - FIELD.right];
  const across = (x.floor ? logarithmic : linear)(x.domain, [side[0] + 10, side[1] - 10]);
  const up = linear(y.domain, [height - FIELD.bottom, FIELD.top]);
  const svg = drawing("Accuracy against KL(policy ‖ base); discs: forgetting", width, height);
  svg.append(...axes({ x, y }, across, up, width, height, FIELD));
  const inside = within(y.domain, up);
  const points = rows.map((row) => heroPoint(row, across, up));
  for (const { row, at } of points) {
    svg.append(draw("circle", { class: `disc ${hue(row.look)}`, "data-series": row.series, cx: at[0], cy: at[1], r: row.disc }));
  }
  const taken = points.map(({ at: [left, top] }) => ({ left: left - 7, right: left + 7, top: top - 7, bottom: top + 7 }));
  for (const point of points) svg.append(heroMark(point, inside, x, y));
  for (const point of points) svg.append(heroName(point, taken, { ...FIELD, width }));
  return svg;
}

/** Where a row stands. */
function heroPoint(row, across, up) {
  const [[kl], [share]] = [row.kl_policy_base, row.average_accuracy];
  return { row, at: [across(kl), up(share)] };
}

function heroMark({ row, at: [left, top] }, up, x, y) {
  const group = draw("g", { class: `line ${hue(row.look)}`, "data-series": row.series });
  const [share, low, high] = row.average_accuracy;
  if (low !== null) group.append(draw("path", { class: "interval", d: `M${left} ${up(low)}V${up(high)}` }));
  const lost = row.forgetting_max[0];
  const said = `${row.label}: ${y.format(share)} %, KL ${x.format(row.kl_policy_base[0])}, forgotten ${write(lost, "points")} points`;
  const where = `translate(${left} ${top}) scale(1.35)`;
  group.append(draw("path", { class: "fill", d: MARKER[row.look.marker], transform: where }, draw("title", {}, said)));
  return group;
}

/** A row’s name beside its marker, where it covers least of what stands there already. */
function heroName({ row, at: [x, y] }, taken, { left, top, bottom, width, height }) {
  const font = "600 12px system-ui, sans-serif";
  const lines = wrapped(row.label, Math.max(110, width * 0.3), font);
  const size = Math.max(...lines.map((line) => textWidth(line, font)));
  const spots = [[10, 4], [-10 - size, 4], [-size / 2, -12], [-size / 2, 20], [9, -9], [9, 17], [-9 - size, -9], [-9 - size, 17],
    [8 - size, -13], [8 - size, 21], [-8, -13], [-8, 21], [8 - size, -27], [8 - size, 35], [-8, -27], [-8, 35]];
  const tall = 13 * (lines.length - 1);
  const boxes = spots.map(([dx, dy]) => {
    const last = y + dy + (dy > 10 ? tall : dy < 0 ? 0 : tall / 2);
    return { left: x + dx, right: x + dx + size, top: last - tall - 11, bottom: last + 3 };
  });
  const outside = (box) => box.left < left || box.right > width - 2 || box.top < top - 12 || box.bottom > height - bottom;
  const covered = (one, other) =>
    Math.max(0, Math.min(one.right, other.right) - Math.max(one.left, other.left)) *
    Math.max(0, Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top));
  const cost = (box) => (outside(box) ? 1e6 : 0) + sum(taken.map((other) => covered(box, other)));
  const best = boxes.reduce((one, other) => (cost(other) < cost(one) ? other : one));
  taken.push(best);
  const at = (place) => ({ x: best.left, y: best.bottom - 3 - 13 * (lines.length - 1 - place) });
  const said = lines.map((line, place) => draw("tspan", at(place), line));
  return draw("text", { class: "point-name", "data-series": row.series }, said);
}
