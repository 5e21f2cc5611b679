// Making elements. All text goes in as text, never as HTML, and a link leads to this page only.

const SVG = "http://www.w3.org/2000/svg";
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
const KEPT = "\n\t\u200c\u200d"; // line ends, and what several scripts are spelt with

/** The text with everything that is invisible, or turns the reading direction, as an escape. */
function visible(text) {
  return String(text).replace(HIDDEN, (sign) =>
    KEPT.includes(sign) ? sign : `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Set attributes; null and undefined leave one out, `on…` and foreign links are refused. */
function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on") || name === "style" || name === "src") throw new Error(name);
    if (name === "href" && !String(value).startsWith("#")) throw new Error("a link elsewhere");
    element.setAttribute(name, value);
  }
  return element;
}

function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined) continue;
    element.append(child instanceof Node ? child : visible(child));
  }
  return element;
}

/** An HTML element with attributes and children; texts are made `visible`. */
function make(tag, attributes, ...children) {
  return fill(dress(document.createElement(tag), attributes), children);
}

/** The same for SVG. */
function draw(tag, attributes, ...children) {
  return fill(dress(document.createElementNS(SVG, tag), attributes), children);
}

/** A table of texts or elements; the first cell of a row is its heading. Its caption stands above
 * what scrolls sideways. */
function makeTable(caption, columns, rows, kind = "plain") {
  const head = columns.map((column) => make("th", { scope: "col" }, column));
  const body = rows.map(([first, ...others]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, first),
      others.map((cell) => make("td", {}, cell)),
    ),
  );
  const table = make(
    "table",
    { class: kind, "aria-label": caption },
    make("thead", {}, make("tr", {}, head)),
    make("tbody", {}, body),
  );
  const scroller = make("div", { class: "wide", tabindex: "0" }, table);
  return caption ? make("div", {}, make("p", { class: "caption" }, caption), scroller) : scroller;
}
