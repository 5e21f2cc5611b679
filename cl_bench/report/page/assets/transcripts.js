// What the model said to the same problems before training and after each stage, side by side.

const SAID = { learner: "the learner’s prompt", seed: "the seed prompt" };

/** The section of a run's transcripts; `kept` is its part `transcripts`. */
function transcriptSection(kept, stages) {
  const found = new Set(kept.problems.flatMap((p) => p.responses.map((r) => r[1])));
  const prompts = Object.keys(SAID).filter((prompt) => found.has(prompt));
  const shown = make("div", {});
  const choose = (prompt) =>
    shown.replaceChildren(...kept.problems.map((problem) => transcript(problem, kept, stages, prompt)));
  choose(prompts[0]);
  return make(
    "section",
    {},
    make("h3", {}, "Transcripts"),
    make(
      "p",
      {},
      "The first test problems of every domain, and one sampled response before training and after " +
        "each stage.",
    ),
    prompts.length > 1 ? promptChoice(prompts, choose) : null,
    shown,
  );
}

/** Why a run has no transcripts. */
function noTranscripts(run) {
  const why = run.left.includes("transcripts")
    ? "Left out to keep this page small; they are in the run’s tables."
    : "This run’s tables hold none: runs record them once they are evaluated.";
  return make("section", {}, make("h3", {}, "Transcripts"), make("p", {}, why));
}

function promptChoice(prompts, choose) {
  const options = prompts.map((prompt) => make("option", { value: prompt }, SAID[prompt]));
  const select = make("select", { id: "transcript-prompt" }, options);
  select.addEventListener("change", () => choose(select.value));
  return make("p", {}, make("label", { for: "transcript-prompt" }, "Responses under "), select);
}

function transcript(problem, kept, stages, prompt) {
  const responses = problem.responses.filter((response) => response[1] === prompt);
  const right = problem.reference === null ? null : ["Right answer: ", make("code", {}, problem.reference)];
  return make(
    "article",
    { class: "transcript" },
    make("h4", {}, `${problem.domain} `, make("small", { class: "quiet" }, problem.uid)),
    make("p", { class: "said problem", dir: "auto" }, problem.problem),
    right ? make("p", { class: "judged" }, right) : null,
    make("div", { class: "side" }, responses.map((response) => said(response, kept, stages))),
  );
}

function said([stage, , system, response, score, answer, feedback], kept, stages) {
  const when = stage ? `After stage ${stage}, ${stages[stage - 1]?.name ?? ""}` : "Before training";
  const sign = score >= 1 ? "✓ right" : score > 0 ? `${percent(score)} right` : "✗ wrong";
  return make(
    "div",
    { class: `response ${score >= 1 ? "right" : "wrong"}` },
    make("p", { class: "when" }, make("strong", {}, when)),
    make("p", { class: "said", dir: "auto" }, response),
    make(
      "p",
      { class: "judged" },
      make("strong", {}, sign),
      answer === null ? " · no answer could be read" : [" · answer ", make("code", {}, answer)],
    ),
    feedback ? make("p", { class: "quiet", dir: "auto" }, feedback) : null,
    onDemand("System prompt", () => make("p", { class: "prompt", dir: "auto" }, kept.systems[system])),
  );
}
