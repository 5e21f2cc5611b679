// What the model said to the same problems before training and after the last stage, and in between.

const SAID = { learner: "the learner’s prompt", seed: "the seed prompt" };
const FIRST = 2;

/** The section of a run's transcripts; `core` is the run's first part, `kept` its part `transcripts`. */
function transcriptSection(kept, core, stages) {
  const found = new Set(kept.problems.flatMap((p) => p.responses.map((r) => r[1])));
  const prompts = Object.keys(SAID).filter((prompt) => found.has(prompt));
  const shown = make("div", {});
  const choose = (prompt) => shown.replaceChildren(...ofPrompt(kept, core, stages, prompt));
  choose(prompts[0]);
  return make(
    "section",
    {},
    make("h3", {}, "Transcripts"),
    make(
      "p",
      {},
      "One sampled response to the first test problems of every domain, before training and at the end. Of each " +
        "domain one that ends right and one that ends wrong come first, where there are both.",
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

/** The domains, each with its problems and the responses under one prompt. */
function ofPrompt(kept, core, stages, prompt) {
  const domains = [...new Set(kept.problems.map((problem) => problem.domain))];
  const last = Math.max(...kept.problems.flatMap((problem) => problem.responses.map(([stage]) => stage)));
  return domains.map((domain) => {
    const problems = kept.problems
      .filter((problem) => problem.domain === domain)
      .map((problem) => ({ ...problem, responses: problem.responses.filter((each) => each[1] === prompt) }))
      .filter((problem) => problem.responses.length);
    const [atEnd, earlier] = [true, false].map((is) => problems.filter((one) => (one.responses.at(-1)[0] === last) === is));
    const [right, wrong] = [true, false].map((ends) => atEnd.filter((problem) => endsRight(problem) === ends));
    const ordered = [right[0], wrong[0], ...right.slice(1), ...wrong.slice(1), ...earlier].filter(Boolean);
    const shown = ordered.map((problem) => transcript(problem, kept, stages));
    const others = shown.slice(FIRST);
    return make(
      "section",
      { class: "domain" },
      make("h4", {}, domain, " ", make("small", { class: "quiet" }, endWords(core, domain, right, wrong, prompt))),
      shown.slice(0, FIRST),
      others.length ? onDemand(`${counted(others.length, "more problem")} of ${domain}`, () => make("div", {}, others)) : null,
    );
  });
}

const isRight = ([, , , , score]) => score >= 1;
const endsRight = (problem) => isRight(problem.responses.at(-1));

/** How a domain's test problems end, and how many of them are told below. */
function endWords(core, domain, right, wrong, prompt) {
  const told = `responses are told of ${right.length} that end right and ${wrong.length} that end wrong`;
  const last = prompt === "learner" ? core.turnover[domain]?.shares.at(-1) : null;
  if (!last) return told;
  const solved = [...last].filter((share) => share >= 5).length;
  return `${solved} of ${counted(last.length, "test problem")} solved at the end; ${told}`;
}

function transcript(problem, kept, stages) {
  const { responses } = problem;
  const right = problem.reference === null ? null : ["Right answer: ", make("code", {}, problem.reference)];
  const sides = responses.length > 1 ? [responses[0], responses.at(-1)] : responses;
  const between = responses.slice(1, -1);
  const signs = responses.map((each) => `${isRight(each) ? "✓" : "✗"} ${whenOf(each, stages)}`);
  return make(
    "article",
    { class: "transcript" },
    make("p", { class: "said problem", dir: "auto" }, problem.problem),
    make("p", { class: "judged" }, right, right ? " · " : null, make("small", { class: "quiet" }, problem.uid)),
    make("div", { class: "side" }, sides.map((response) => said(response, kept, stages))),
    between.length ? make("p", { class: "judged quiet" }, signs.join(" · ")) : null,
    between.length
      ? onDemand("Responses in between", () => make("div", { class: "side" }, between.map((each) => said(each, kept, stages))))
      : null,
  );
}

const whenOf = ([stage], stages) => (stage ? `after ${stage} ${stages[stage - 1]?.name ?? ""}` : "before training");

function said(found, kept, stages) {
  const [stage, , system, response, score, answer, feedback] = found;
  const when = stage ? `After stage ${stage}, ${stages[stage - 1]?.name ?? ""}` : "Before training";
  const sign = isRight(found) ? "✓ right" : score > 0 ? `${percent(score)} right` : "✗ wrong";
  return make(
    "div",
    { class: `response ${isRight(found) ? "right" : "wrong"}` },
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
