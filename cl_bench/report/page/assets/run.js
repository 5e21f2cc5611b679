// The page of one run, made of its parts when it is opened.

const CURVES = {
  reward: ["reward", "mean score of rollouts"],
  signal: ["signal", "share of groups with a signal"],
  entropy: ["entropy", "entropy, nats/token"],
  grad_norm: ["grad_norm", "gradient norm"],
  completion_tokens: ["completion_tokens", "response length, tokens"],
  loss: ["loss", "policy loss"],
};

const domainLook = (place) => ({
  colour: place % 7,
  marker: page.markerOrder[place % page.markerOrder.length],
  dashed: false,
});

/** Show a run by its name, in the element `place`. */
async function showRun(name, place) {
  const number = page.runs.findIndex((run) => run.name === name);
  const back = make("p", {}, make("a", { href: addressOf({ ...readState(), run: "" }) }, "← Leaderboard"));
  if (number < 0) {
    place.replaceChildren(back, make("p", {}, `There is no run ${name} on this page.`));
    return;
  }
  const run = page.runs[number];
  try {
    const core = await part(number, "core");
    const others = await Promise.all(["prompts", "steps", "transcripts"].map((n) => part(number, n)));
    place.replaceChildren(back, ...runSections(run, core, others));
  } catch (error) {
    place.replaceChildren(back, make("p", { class: "flag" }, error.message));
  }
}

function runSections(run, core, [prompts, steps, transcripts]) {
  const left = run.left.length
    ? make("p", { class: "flag" }, `Left out to keep this page small: ${run.left.join(", ")}.`)
    : null;
  if (!core) return [make("h2", {}, run.name), left];
  const stages = core.stages.map(([name, , each]) => ({ name, steps: each }));
  return [
    runHead(run, core),
    left,
    metricTables(core),
    make("h3", {}, "Learning curves"),
    ...curveFigures(core, stages, steps),
    make("h3", {}, "Accuracy and distance after each stage"),
    ...["learner", "seed"].map((prompt) => runMatrices(core, stages, prompt)),
    runKl(core),
    attributionSection(core),
    costSection(core),
    prompts ? promptSection(prompts, stages) : null,
    itemSection(core.turnover, stages),
    transcripts ? transcriptSection(transcripts, core, stages) : noTranscripts(run),
    provenanceSection(core),
  ].filter(Boolean);
}

function runHead(run, core) {
  const facts = core.manifest;
  const learner = page.boards.flatMap(({ rows }) => rows).find(({ series }) => series === facts.learner);
  const name = learner?.label ?? facts.learner;
  const why = facts.reason ? `: ${facts.reason}` : "";
  return make(
    "header",
    {},
    make("h2", { tabindex: "-1", id: "run-title" }, run.name),
    make("p", {}, `${name} on stream ${sharedOf(core, "stream").name}, seed ${facts.seed}, model ${facts.model}.`),
    make("p", { class: facts.status === "done" ? "" : "flag" }, `Status: ${facts.status}${why}`),
    ...core.said.map((line) => make("p", { class: "flag" }, `At the end, ${line}.`)),
    ...(run.problems ?? []).map((problem) => make("p", { class: "flag" }, problem)),
  );
}

/** An entry of the manifest that the page keeps once for all runs. */
const sharedOf = (core, name) => (name in core.common ? page.shared[core.common[name]] : {});

/** What was measured in two tables side by side; below them, what was not and why. */
function metricTables(core) {
  const every = Object.entries(core.metrics).map(([name, value]) => {
    const { title, unit, heading } = page.metrics[name] ?? { title: name, unit: "", heading: "" };
    const of = heading || (unit === "tokens" && title !== unit ? unit : "");
    return { title, value, unit, of, known: typeof value === "number" };
  });
  const rows = every
    .filter(({ known }) => known)
    .map(({ title, value, unit, of }) => [title, write(value, unit), of]);
  const half = Math.ceil(rows.length / 2);
  const halves = [rows.slice(0, half), rows.slice(half)].filter((each) => each.length);
  const others = every.filter(({ known }) => !known);
  return make(
    "div",
    {},
    make("div", { class: "halves" }, halves.map((each) => makeTable(null, ["metric", "value", ""], each, "plain numbers metrics"))),
    others.length ? make("p", { class: "quiet" }, "Without a value:") : null,
    others.length
      ? make("ul", { class: "notes" }, others.map(({ title, value }) => make("li", {}, title, value ? `: ${value}` : "")))
      : null,
  );
}

/** The lines of the stream's own problems: [{domain, place, line}]. */
function ownLines(core, prompt, weights = "trained") {
  const domains = [...new Set(core.stages.map(([name]) => name))];
  const settings = Object.fromEntries(core.stages.map(([name, setting]) => [name, setting]));
  return domains.flatMap((domain, place) => {
    const line = core.lines.find(
      (each) =>
        each.test_set === "stream" &&
        each.domain === domain &&
        each.setting === settings[domain] &&
        each.prompt === prompt &&
        each.weights === weights,
    );
    return line ? [{ domain, place, line }] : [];
  });
}

function curveFigures(core, stages, steps) {
  if (!core.points.step.length) return [make("p", {}, "Nothing was evaluated yet.")];
  const specs = ["learner", "seed"].map((prompt) => accuracySpec(core, stages, prompt));
  const looks = ownLines(core, "learner").map(({ domain, place }) => ({
    label: domain,
    look: domainLook(place),
  }));
  const found = [
    figure("Accuracy of every domain", specs.map(plotted), {
      note: "bands: Wilson 95 % over test problems.",
      legend: legend(looks),
      numbers: () => make("div", {}, specs.map(lineNumbers)),
    }),
  ];
  if (steps) found.push(trainingFigure(steps, stages));
  return found;
}

function accuracySpec(core, stages, prompt) {
  return {
    title: `Accuracy under ${SAID[prompt]}`,
    x: stepAxis(stages),
    y: { ...shareTick, label: `under ${SAID[prompt]}: accuracy, %` },
    stages,
    lines: ownLines(core, prompt).map(({ domain, place, line }) => ({
      label: domain,
      look: domainLook(place),
      points: zip(core.points.step, line.accuracy),
      band: core.points.step.map((step, e) => [step, line.low[e], line.high[e]]),
    })),
  };
}

function trainingFigure(steps, stages) {
  const panels = Object.entries(CURVES)
    .filter(([name]) => steps[name])
    .map(([name, [, label]]) => {
      const known = steps[name].filter((value) => value !== null);
      const format = (value) => precisely(value, 3);
      return plotted({
        title: label,
        height: 170,
        x: stepAxis(stages),
        y: { label, domain: [Math.min(0, ...known), Math.max(...known, 1e-9)], format },
        stages,
        lines: [{ label, look: domainLook(6), points: zip(steps.step, steps[name]), marks: false }],
      });
    });
  const averaged = steps.window > 1 ? `means of ${steps.window} steps.` : null;
  return figure("Training", panels, { note: averaged, kind: "thirds" });
}

function runMatrices(core, stages, prompt) {
  const lines = ownLines(core, prompt);
  const places = endPlaces(core.points);
  const of = (name) => Object.fromEntries(lines.map(({ domain, line }) => [domain, line[name]]));
  const kl = atEnds(stages, places, of("kl"));
  const most = topOf(kl.flat());
  const label = [`Under ${SAID[prompt]} `, make("small", { class: "quiet" }, most.said)];
  return matrixPair(label, stages, atEnds(stages, places, of("accuracy")), kl, most);
}

function runKl(core) {
  const lines = ["learner", "seed"].map((prompt) => ownLines(core, prompt));
  const every = lines.flat().flatMap(({ line }) => line.kl.filter((value) => value !== null));
  const specs = ["learner", "seed"].map((prompt, number) => ({
    title: `Accuracy against KL under ${SAID[prompt]}`,
    x: klAxis(every),
    y: { ...shareTick, label: `under ${SAID[prompt]}: accuracy, %` },
    lines: lines[number].map(({ domain, place, line }) => ({
      label: domain,
      look: domainLook(place),
      points: zip(line.kl, line.accuracy),
      ends: true,
    })),
  }));
  return figure("Accuracy against KL", specs.map(plotted), {
    note: "joined in time; ring: start, large marker: end.",
    legend: legend(lines[0].map(({ domain, place }) => ({ label: domain, look: domainLook(place) }))),
  });
}

function attributionSection(core) {
  const rows = Object.entries(core.attribution);
  const known = rows.filter(([, gains]) => Array.isArray(gains));
  const reasons = rows.filter(([, gains]) => !Array.isArray(gains));
  if (!known.length) return null;
  const names = ["weights alone", "prompt alone", "both", "interaction"];
  const cells = known.map(([domain, gains]) => [domain, ...gains.map((gain) => write(gain, "points"))]);
  return make(
    "section",
    {},
    make("h3", {}, "Which channel carries the gain"),
    makeTable("Gain over the base model under the seed prompt, points", ["", ...names], cells, "plain numbers"),
    reasons.map(([domain, reason]) => make("p", { class: "quiet" }, `${domain}: ${reason}`)),
  );
}

function costSection(core) {
  const channels = { slow: "weights", fast: "prompt optimiser" };
  const rows = Object.entries(core.spent).map(([channel, amounts]) => [
    channels[channel] ?? channel,
    ...amounts.map(count),
  ]);
  const phases = Object.entries(core.phases).map(([phase, seconds]) => [phase, duration(seconds)]);
  return make(
    "section",
    {},
    make("h3", {}, "What it cost"),
    makeTable(null, ["channel", ...core.spentColumns.map((name) => name.replaceAll("_", " "))], rows, "plain numbers"),
    makeTable(null, ["phase", "wall time"], phases, "plain numbers"),
  );
}

function provenanceSection(core) {
  const known = ["stream", "config", "provenance", "model_files", "plugins", "reflection_files"];
  return make(
    "section",
    {},
    make("h3", {}, "Configuration and provenance"),
    onDemand("Run", () => factTable(core.manifest)),
    known
      .filter((name) => name in core.common)
      .map((name) => onDemand(name.replaceAll("_", " "), () => factTable(sharedOf(core, name)))),
  );
}

/** Nested values as a table of names and values. */
function factTable(value) {
  const rows = [];
  const walk = (each, name) => {
    if (each !== null && typeof each === "object" && Object.keys(each).length) {
      for (const [key, inner] of Object.entries(each)) walk(inner, name ? `${name}.${key}` : key);
    } else {
      rows.push([name, make("code", {}, typeof each === "string" ? each : JSON.stringify(each))]);
    }
  };
  walk(value, "");
  return makeTable(null, ["", ""], rows, "plain facts");
}
