// The lineage of a run's prompts: what each round said, what changed, and how it scored.

const FATE = { kept: "kept", dropped: "dropped", rejected: "rejected: no better than its parent" };

/** The section about prompts; `lineage` is the part `prompts` of a run. */
function promptSection(lineage, stages) {
  const last = lineage.rounds.at(-1);
  const best = bestOf(last);
  const parts = [make("h3", {}, "Prompts")];
  if (best === null) return make("section", {}, parts, make("p", {}, "No prompt was kept."));
  parts.push(
    make(
      "p",
      {},
      `${counted(lineage.rounds.length, "round")}, ${counted(Object.keys(lineage.texts).length, "prompt")}. ` +
        "Scores are means on the round’s own exercises, so they compare within a round.",
    ),
    scoreFigure(lineage, stages),
    make("h4", {}, "How the best prompt came to be"),
    make("ol", { class: "timeline" }, ancestry(lineage, best).map((id) => ancestor(lineage, id))),
    onDemand("All rounds", () =>
      make("ol", { class: "timeline" }, lineage.rounds.map((round) => roundOf(lineage, round))),
    ),
  );
  return make("section", {}, parts);
}

/** The kept prompt with the highest score of a round; the oldest of equals. */
function bestOf(round) {
  const kept = round.candidates.filter(([, , fate]) => fate === "kept");
  kept.sort(([one, a], [other, b]) => (b ?? -1) - (a ?? -1) || one - other);
  return kept.length ? kept[0][0] : null;
}

/** From the seed prompt to this one. */
function ancestry(lineage, id) {
  const found = [];
  for (let at = id; lineage.texts[at] && !found.includes(at); at = lineage.texts[at][0]) {
    found.unshift(at);
  }
  return found;
}

function ancestor(lineage, id) {
  const [parent, text] = lineage.texts[id];
  const seen = lineage.rounds.filter((round) => round.candidates.some(([other]) => other === id));
  const [first, last] = [seen[0], seen.at(-1)];
  const score = last?.candidates.find(([other]) => other === id)[1];
  const since = first ? `round ${first.round}, step ${first.step}` : "";
  return make(
    "li",
    {},
    make(
      "p",
      { class: "when" },
      make("strong", {}, parent < 0 ? "Seed prompt" : `Prompt ${id}`),
      parent < 0 ? "" : ` ${since}, from ${parent === 0 ? "the seed prompt" : `prompt ${parent}`}`,
      score === null || score === undefined ? "" : ` · last score ${percent(score)}`,
    ),
    promptText(lineage, id),
  );
}

/** A prompt, marked where it differs from its parent. */
function promptText(lineage, id) {
  const [parent, text] = lineage.texts[id];
  const before = lineage.texts[parent]?.[1];
  if (before === undefined) return make("p", { class: "prompt", dir: "auto" }, text);
  return changed(before, text);
}

function roundOf(lineage, round) {
  const known = new Set();
  for (const other of lineage.rounds) {
    if (other === round) break;
    for (const [id] of other.candidates) known.add(id);
  }
  const order = { kept: 0, dropped: 1, rejected: 2 };
  const candidates = [...round.candidates];
  candidates.sort(([, a, one], [, b, other]) => order[one] - order[other] || (b ?? -1) - (a ?? -1));
  return make(
    "li",
    {},
    make("p", { class: "when" }, make("strong", {}, `Round ${round.round}`), ` step ${round.step}`),
    make(
      "ul",
      { class: "candidates" },
      candidates.map(([id, score, fate]) => candidate(lineage, id, score, fate, known.has(id))),
    ),
  );
}

function candidate(lineage, id, score, fate, known) {
  const parent = lineage.texts[id][0];
  const origin = known ? "seen before" : parent < 0 ? "the seed prompt" : `from ${parent}`;
  return make(
    "li",
    { class: fate },
    make("span", { class: "score" }, score === null ? NOTHING : percent(score)),
    make("span", { class: "quiet" }, ` prompt ${id}, ${origin}, ${FATE[fate] ?? fate}`),
    known ? make("p", { class: "prompt old", dir: "auto" }, lineage.texts[id][1]) : promptText(lineage, id),
  );
}

/** Scores of the kept prompts over the run; the line joins the best of each round. */
function scoreFigure(lineage, stages) {
  const best = lineage.rounds.map((round, place) => {
    const scores = round.candidates.filter(([, s, fate]) => fate === "kept" && s !== null);
    return [place + 1, scores.length ? Math.max(...scores.map(([, score]) => score)) : null];
  });
  const ends = stages.map((_, place) => sum(stages.slice(0, place + 1).map((stage) => stage.steps)));
  const within = (stage) => (round) => round.step <= ends[stage] && round.step > (ends[stage - 1] ?? -1);
  const counted = stages.map(({ name }, place) => ({
    name,
    steps: lineage.rounds.filter(within(place)).length,
  }));
  const spec = {
    title: "Best score of the population, by round",
    height: 180,
    x: { ...stepAxis(counted), label: "round of the prompt optimiser" },
    y: { ...shareTick, label: "score of the best prompt, %" },
    stages: counted,
    lines: [{ label: "best prompt", look: CHANNEL_LOOKS.fast, points: best }],
  };
  return figure("Scores of prompts", [plotted(spec)], { numbers: () => lineNumbers(spec) });
}
