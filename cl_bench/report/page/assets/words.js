// Differences between two texts, word by word.

const MOST_WORDS = 1500;

/** The words of a text with the white space that follows each. */
const words = (text) => text.match(/\S+\s*|\s+/g) ?? [];

/** [[kind, text]…] with kind same, added or removed. Equal ends are found first; of what is left
 * in very long texts, all is removed and added. */
function difference(before, after) {
  const [old, young] = [words(before), words(after)];
  const same = (one, other) => one.trim() === other.trim();
  let head = 0;
  while (head < old.length && head < young.length && same(old[head], young[head])) head++;
  let tail = 0;
  const room = Math.min(old.length, young.length) - head;
  while (tail < room && same(old[old.length - 1 - tail], young[young.length - 1 - tail])) tail++;
  const middle = [old.slice(head, old.length - tail), young.slice(head, young.length - tail)];
  const found = [
    ...young.slice(0, head).map((word) => ["same", word]),
    ...(Math.max(middle[0].length, middle[1].length) > MOST_WORDS
      ? whole(...middle)
      : longestCommon(...middle, same)),
    ...young.slice(young.length - tail).map((word) => ["same", word]),
  ];
  return joined(found);
}

const whole = (old, young) => [
  ...old.map((word) => ["removed", word]),
  ...young.map((word) => ["added", word]),
];

/** A longest common subsequence by the usual table, read from its beginning. */
function longestCommon(old, young, same) {
  const wide = young.length + 1;
  const table = new Uint16Array((old.length + 1) * wide);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = young.length - 1; j >= 0; j--) {
      table[i * wide + j] = same(old[i], young[j])
        ? table[(i + 1) * wide + j + 1] + 1
        : Math.max(table[(i + 1) * wide + j], table[i * wide + j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < young.length) {
    if (i < old.length && j < young.length && same(old[i], young[j])) {
      found.push(["same", young[j++]]);
      i++;
    } else if (j === young.length || (i < old.length && table[(i + 1) * wide + j] >= table[i * wide + j + 1])) {
      found.push(["removed", old[i++]]);
    } else {
      found.push(["added", young[j++]]);
    }
  }
  return found;
}

/** Neighbours of one kind as one piece. */
function joined(pieces) {
  const found = [];
  for (const [kind, text] of pieces) {
    if (found.at(-1)?.[0] === kind) found.at(-1)[1] += text;
    else found.push([kind, text]);
  }
  return found;
}

/** A prompt with what changed since another: added words underlined, removed ones struck out. */
function changed(before, after) {
  const tags = { same: "span", added: "ins", removed: "del" };
  const pieces = difference(before, after).map(([kind, text]) => make(tags[kind], {}, text));
  return make("p", { class: "prompt", dir: "auto" }, pieces);
}
