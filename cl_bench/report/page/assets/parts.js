// What the page carries besides its tables: board figures as JSON, runs as zipped JSON.

const page = JSON.parse(document.getElementById("page-data").textContent);
const opened = new Map();

/** One part of a run (see `runs` in the page's data); null for a part that it has not. */
async function part(run, name) {
  const key = `part-${run}-${name}`;
  const element = document.getElementById(key);
  if (!element) return null;
  if (!opened.has(key)) opened.set(key, unzip(element.textContent));
  return opened.get(key);
}

async function unzip(text) {
  if (!("DecompressionStream" in window)) {
    throw new Error("This browser cannot unzip what the page holds; use one of 2023 or later.");
  }
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
