// The figures of a board, of the rows that the filters leave.

const CHANNEL_LOOKS = {
  slow: { colour: 0, marker: "s", dashed: false },
  fast: { colour: 4, marker: "^", dashed: false },
  joint: { colour: 2, marker: "o", dashed: false },
};
const GAINS = [
  ["slow", "weights alone"],
  ["fast", "prompt alone"],
  ["joint", "both"],
];
const SPENT = {
  rollouts: { title: "Rollouts", names: { slow: "of the weights", fast: "of the prompt optimiser" } },
  tokens: {
    title: "Tokens",
    names: {
      prompt_tokens: "read",
      generated_tokens: "sampled",
      reflection_tokens: "reflection",
    },
  },
  seconds: { title: "Wall time", names: { learn: "learning", evaluate: "evaluating", rest: "else" } },
};

/** Draw all figures of a board into its place; `shown` are the ids of the rows to draw. */
function drawBoard(board, shown) {
  const place = document.getElementById(`${board.anchor}-figures`);
  const known = board.rows.filter((row) => shown.has(row.row) && row.share);
  const rows = known.slice(0, board.most);
  if (!rows.length) {
    place.replaceChildren(make("p", { class: "quiet" }, "No finished run to draw."));
    return;
  }
  const stages = board.stages.map(([name, share]) => ({ name, steps: share }));
  place.replaceChildren(
    legend(rows, [
      rows.length > 1 ? "choose one for its 95 % intervals and seeds" : "band: 95 % over seeds",
      known.length > rows.length ? `the first ${rows.length} of ${known.length}` : null,
    ].filter(Boolean)),
    accuracyFigure(board, rows, stages),
    matricesFigure(rows, stages),
    klFigure(rows),
    efficiencyFigure(board, rows),
    ...[gainsFigure(rows), changesFigure(rows, stages)].filter(Boolean),
    spentFigure(rows),
  );
}

const zip = (xs, ys) => xs.map((x, place) => [x, ys[place]]);

/** A row's band over `xs` as a line of a chart, one of several `rows`. */
function bandLine(row, xs, band, rows) {
  return {
    label: row.label,
    look: row.look,
    series: rows > 1 ? row.series : null,
    points: zip(xs, band.mean),
    band: band.low ? xs.map((x, place) => [x, band.low[place], band.high[place]]) : null,
    seeds: (band.seeds ?? []).map((seed) => zip(xs, seed)),
  };
}

const SHARE_AXIS = { label: "accuracy, %", domain: [0, 1], format: (value) => write(value, "%") };
const shareTick = { ...SHARE_AXIS, format: (value) => plain(100 * value, 0) };

function stepAxis(stages) {
  const total = sum(stages.map((stage) => stage.steps));
  return { label: "training step", domain: [0, total], format: (value) => String(value), whole: true };
}

/** Learners take steps of different sizes, so that a board's axis is the share of all steps. */
const shareAxis = { label: "share of the training, %", domain: [0, 1], format: (x) => plain(100 * x, 0) };

function accuracyFigure(board, rows, stages) {
  const specs = board.domains.map((domain) => ({
    title: `Accuracy on ${domain} over the run`,
    x: shareAxis,
    y: { ...shareTick, label: `${domain}: accuracy, %` },
    stages,
    lines: rows.map((row) => bandLine(row, row.share, row.accuracy[domain], rows.length)),
  }));
  return figure("Accuracy over the run", specs.map(plotted), {
    note: `on each domain’s test problems, under the learner’s own prompt; shaded: stages of training (${stageNames(stages)}).`,
    numbers: () => make("div", {}, specs.map(lineNumbers)),
  });
}

/** Places of the start and of every stage's end among the evaluations of a row or a run. */
const endPlaces = ({ end }) => end.map((_, place) => place).filter((place) => end[place]);

function matricesFigure(rows, stages) {
  const means = (bands) => Object.fromEntries(Object.entries(bands).map(([d, b]) => [d, b.mean]));
  const found = rows.map((row) => {
    const places = endPlaces(row);
    const kl = atEnds(stages, places, means(row.kl));
    return { row, accuracy: atEnds(stages, places, means(row.accuracy)), kl };
  });
  const most = topOf(found.flatMap(({ kl }) => kl.flat()));
  const pairs = found.map(({ row, accuracy, kl }) =>
    matrixPair([swatch(row.look), " ", row.label], stages, accuracy, kl, most, row.series),
  );
  const first = NARROW.matches ? 2 : stages.length > 3 ? 6 : 8;
  const others = pairs.slice(first);
  return make(
    "figure",
    { class: "drawn" },
    make(
      "figcaption",
      {},
      make("strong", {}, "What was known when"),
      " rows: after each stage; columns: domains; outlined: trained by then. Accuracy R[i, j] and " +
        `KL(policy ‖ base) under the learner’s prompt, means over seeds. ${most.said}`,
    ),
    make("div", { class: "pairs" }, pairs.slice(0, first)),
    others.length
      ? onDemand(`Matrices of ${counted(others.length, "more learner")}`, () => make("div", { class: "pairs" }, others))
      : null,
  );
}

/** Where a row ends, with intervals; null for one seed. */
function endOf({ divergence, average }) {
  const of = (what) => [divergence[what]?.at(-1) ?? null, average[what]?.at(-1) ?? null];
  const [[x, y], low, high] = [of("mean"), of("low"), of("high")];
  return [x, y, ...low, ...high].includes(null) ? null : { x, y, low, high };
}

function klFigure(rows) {
  const spec = {
    title: "Accuracy against distance from the base model",
    height: 280,
    x: klAxis(rows.flatMap(({ divergence }) => [...divergence.mean, divergence.high?.at(-1) ?? 0])),
    y: { ...shareTick, label: "average accuracy, %" },
    lines: rows.map((row) => ({
      label: row.label,
      look: row.look,
      series: rows.length > 1 ? row.series : null,
      points: zip(row.divergence.mean, row.average.mean),
      ends: true,
      cross: endOf(row),
    })),
  };
  return figure("Accuracy against KL", [plotted(spec)], {
    note:
      "mean over domains and seeds, joined in time; ring: start, large marker: end.",
    kind: "half",
  });
}

function efficiencyFigure(board, rows) {
  const reference = board.rows[board.reference];
  const levels = (reference?.best ?? []).filter((level) => level !== null);
  const specs = [
    ["samples", "training samples (RL rollouts)"],
    ["rollouts", "all rollouts, the prompt optimiser’s too"],
  ].map(([axis, label]) => ({
    title: `Average accuracy against ${label}`,
    x: {
      label,
      domain: [0, Math.max(...rows.flatMap((row) => row[axis]), 1)],
      format: briefly,
    },
    y: { ...shareTick, label: "average accuracy, %" },
    levels: levels.length ? { values: levels, label: `best of ${reference.label}` } : null,
    lines: rows
      .filter((row) => row[axis].at(-1) > 0)
      .map((row) => bandLine(row, row[axis], row.average, rows.length)),
  }));
  return figure("Sample efficiency", specs.map(plotted), {
    note: levels.length
      ? "grey: the reference’s best, from its lowest seed to its highest; each tick at the right is a seed’s, the level at which learners are matched with that seed."
      : "no run of the reference to match learners with.",
    numbers: () => make("div", {}, specs.map(lineNumbers)),
  });
}

const POINTS = {
  format: (value) => write(value, "points"),
  tick: (value) => signed(100 * value, 1).replace(/\.0$/, ""),
};

function span(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  const room = (high - low || 0.1) * 0.06;
  return [low < 0 ? low - room : 0, high + room];
}

function gainsFigure(rows) {
  const known = rows.filter((row) => row.gains);
  if (!known.length) return null;
  const groups = known.map((row) => ({
    label: row.label,
    items: GAINS.map(([name, label], place) => bandItem(label, CHANNEL_LOOKS[name], row.gains, place)),
  }));
  const spec = { ...gainSpec("Gain over the base model by channel", "gain, points", groups), row: 12 };
  return figure("Which channel carries the gain", [canvas((width) => forest(spec, width))], {
    note: "accuracy at the stream’s end minus the base’s under the seed prompt, mean over domains; lines: 95 % over seeds, dots: seeds.",
    legend: legend(GAINS.map(([name, label]) => ({ label, look: CHANNEL_LOOKS[name] }))),
    kind: "half",
    numbers: () => forestNumbers(spec),
  });
}

function gainSpec(title, label, groups) {
  const values = groups.flatMap((group) =>
    group.items.flatMap((item) => [item.value, item.low, item.high, ...(item.seeds ?? [])]),
  );
  return { title, x: { ...POINTS, label, domain: span(values) }, groups };
}

function bandItem(label, look, band, place) {
  return {
    label,
    look,
    value: band.mean[place],
    low: band.low?.[place],
    high: band.high?.[place],
    seeds: band.seeds?.map((seed) => seed[place]),
  };
}

const GAINED = { colour: 6, marker: "^", dashed: false };
const LOST = { colour: 6, marker: "v", dashed: false };

function changesFigure(rows, stages) {
  const known = rows.filter((row) => row.changes);
  if (!known.length) return null;
  const groupsOf = (stage) =>
    known.map((row) => ({
      label: row.label,
      items: [
        bandItem("gained", GAINED, row.changes, stage),
        lossItem("lost", LOST, row.changes, row.changes.mean.length / 2 + stage),
      ],
    }));
  const all = stages.map((_, stage) => groupsOf(stage));
  const { x } = gainSpec("", "share of all problems, points", all.flat());
  const specs = all.map((groups, stage) => {
    const title = `Stage ${stage + 1}, ${stages[stage].name}`;
    return { title, x, groups, row: 11, heading: title };
  });
  return figure("Item turnover", specs.map((spec) => canvas((width) => forest(spec, width))), {
    note: "problems that were solved after a stage and not before it, and the reverse, as shares of all test problems; a problem is solved if at least half of its responses are right.",
    legend: legend([{ label: "gained", look: GAINED }, { label: "lost", look: LOST }]),
    kind: "screen-only",
    numbers: () => make("div", {}, specs.map(forestNumbers)),
  });
}

function lossItem(label, look, band, place) {
  const item = bandItem(label, look, band, place);
  return {
    ...item,
    value: item.value === null ? null : -item.value,
    low: band.low ? -item.high : undefined,
    high: band.low ? -item.low : undefined,
  };
}

/** Wall time by phase, where phases other than the two that matter are one. */
function inNames(parts, names) {
  if (!("rest" in names)) return parts;
  const found = { rest: 0 };
  for (const [name, amount] of Object.entries(parts)) {
    if (name in names) found[name] = amount;
    else found.rest += amount;
  }
  return found;
}

function spentFigure(rows) {
  const panels = Object.entries(SPENT).map(([what, { title, names }]) =>
    stacked({
      title,
      rows: rows.map((row) => ({ ...row, parts: inNames(row.spent[what], names) })),
      names,
      write: WRITE[what],
    }),
  );
  return figure("What it cost", panels, { note: "means over seeds, whole stream.", kind: "screen-only" });
}
