// Sorting and filtering the tables that the page came with.

/** Whether a row passes the filters; a row that knows nothing of one passes it. */
function passes(row, state) {
  const is = (name) => !state[name] || row.dataset[name] === undefined || row.dataset[name] === state[name];
  const status = row.dataset.status;
  if (!is("stream") || !is("learner") || !is("model")) return false;
  if (state.status && status !== undefined && !status.split(" ").includes(state.status)) return false;
  return (state.text ?? "").toLowerCase().split(/\s+/).every((word) => (row.dataset.text ?? "").includes(word));
}

/** Turn a table's headings into buttons that sort all tables by their column. */
function makeSortable(table) {
  for (const [place, row] of [...table.tBodies[0].rows].entries()) row.dataset.came = String(place);
  for (const head of table.tHead.rows[0].cells) {
    if (!head.dataset.sort) continue;
    const name = head.querySelector(".name");
    const button = make("button", { type: "button", class: "sort" });
    button.append(...name.childNodes);
    name.replaceChildren(button);
    button.addEventListener("click", () => {
      const state = readState();
      const again = (state.sort ?? cameBy(table)) === head.dataset.sort && !state.order;
      changeState({ sort: head.dataset.sort, order: again ? "worst" : "" });
    });
  }
}

/** The place of the column that is sorted by this name, or -1. */
const columnOf = (heads, name) => heads.findIndex((head) => name && head.dataset.sort === name);

/** The heading of this name, and what finds a row's cell below it, be it in the other table of the
    board, whose rows are the same learners; null if neither has it. */
function columnFor(table, name) {
  for (const each of [table, ...(table.closest(".board-section")?.querySelectorAll("table.board") ?? [])]) {
    const heads = [...each.tHead.rows[0].cells];
    const place = columnOf(heads, name);
    if (place < 0) continue;
    const rows = new Map([...each.tBodies[0].rows].map((row) => [row.dataset.came, row]));
    return { head: heads[place], cellOf: (row) => rows.get(row.dataset.came)?.cells[place] };
  }
  return null;
}

/** The column that a table comes sorted by. */
const cameBy = (table) => (table.matches(".board") ? page.rankedBy : "run");

/** Mark a table's column as the one that it is sorted by. */
function markSorted(table, head, order) {
  for (const each of table.tHead.rows[0].cells) if (each.dataset.sort) each.setAttribute("aria-sort", "none");
  for (const cell of table.querySelectorAll(".sorted")) cell.classList.remove("sorted");
  if (!head) return;
  head.setAttribute("aria-sort", order);
  for (const row of table.tBodies[0].rows) row.cells[head.cellIndex].classList.add("sorted");
}

/** Sort a table's rows by the column of this name, best first; without it, as they came. */
function sortTable(table, state) {
  const heads = [...table.tHead.rows[0].cells];
  const column = columnFor(table, state.sort);
  const body = table.tBodies[0];
  const rows = [...body.rows].filter((row) => !row.dataset.under);
  const under = new Map(rows.map((row) => [row.dataset.lead, []]));
  for (const row of body.rows) under.get(row.dataset.under)?.push(row);
  const put = () => body.append(...rows.flatMap((row) => [row, ...(row.dataset.lead ? under.get(row.dataset.lead) : [])]));
  const came = (one, other) => Number(one.dataset.came) - Number(other.dataset.came);
  if (!column) {
    rows.sort(came);
    put();
    const head = heads.find((each) => each.dataset.sort === cameBy(table));
    markSorted(table, head, head?.dataset.better === "higher" ? "descending" : "ascending");
    return;
  }
  const rising = (column.head.dataset.better === "lower") !== (state.order === "worst");
  markSorted(table, heads.includes(column.head) ? column.head : null, rising ? "ascending" : "descending");
  const value = (row) => column.cellOf(row)?.dataset.value;
  rows.sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined) || came(one, other);
    const order = Number.isNaN(Number(a)) ? a.localeCompare(b) : Number(a) - Number(b);
    return (rising ? order : -order) || came(one, other);
  });
  put();
}

/** Show in the rank column the ranks by the metric that is sorted by. */
function showRanks(table, state) {
  const first = columnOf([...table.tHead.rows[0].cells], "rank");
  if (first < 0) return;
  const sorted = state.sort === "rank" ? null : columnFor(table, state.sort);
  const chosen = sorted ?? columnFor(table, page.rankedBy);
  const all = [...table.tBodies[0].rows];
  table.classList.toggle("unranked", !all.some((row) => chosen?.cellOf(row)?.dataset.rank));
  for (const row of all) {
    const ranks = chosen?.cellOf(row)?.dataset.rank;
    fillRank(row.cells[first], ranks ? ranks.split(" ").map(Number) : null, row);
  }
}

function fillRank(cell, ranks, row) {
  if (!ranks) {
    cell.firstElementChild.replaceChildren(NOTHING);
    delete cell.dataset.value;
    return;
  }
  const [best, worst, of] = ranks;
  const colour = [...(row.querySelector(".swatch")?.classList ?? [])].find((name) => /^k\d$/.test(name));
  const step = Math.min(12, 70 / Math.max(of - 1, 1));
  const marks = Array.from({ length: of }, (_, place) => `M${(3 + step * place).toFixed(1)} 2.5v3`).join("");
  const line = `M${(1 + step * (best - 1)).toFixed(1)} 4H${(5 + step * (worst - 1)).toFixed(1)}`;
  const bar = draw(
    "svg",
    { class: `bar ${colour ?? ""}`, viewBox: "0 0 76 8", width: 76, height: 8, "aria-hidden": "true" },
    draw("path", { class: "ground", d: marks }),
    draw("path", { class: "rank-line stroke", d: line }),
  );
  const text = best < worst ? `${best}–${worst} ` : `${best} `;
  const shown = make("span", { class: "value" }, text, make("small", {}, `of ${of}`));
  cell.firstElementChild.replaceChildren(shown, bar);
  cell.dataset.value = String(best + worst);
}
