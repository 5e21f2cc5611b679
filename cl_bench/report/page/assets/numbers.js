// Numbers as cl_bench/metrics/quantities.py writes them, by the names of columns' units.

const NOTHING = "—";
const HALF = "5".padEnd(30, "0");

/** `value.toFixed`, but an exact half goes to the even digit, as in Python. */
function fixed(value, digits) {
  const shown = value.toFixed(digits);
  const exact = value.toFixed(digits + HALF.length);
  if (!exact.endsWith(HALF) || /[02468]$/.test(shown)) return shown;
  return exact.slice(0, -HALF.length).replace(/\.$/, "");
}

function plain(value, digits) {
  if (value === null || value === undefined) return NOTHING;
  const shown = fixed(value, digits).replace("-", "−");
  return /[1-9]/.test(shown) ? shown : shown.replace("−", "");
}

function signed(value, digits) {
  const shown = plain(value, digits);
  return value > 0 && /[1-9]/.test(shown) ? `+${shown}` : shown;
}

const count = (value) => plain(value, 0).replace(/\B(?=(\d{3})+$)/g, ",");

/** A count in three digits for axes, such as 9.84k. */
function compact(value) {
  if (value === null || value === undefined) return NOTHING;
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) < 0.9995 * size) continue;
    const scaled = value / size;
    const digits = Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0;
    return plain(scaled, digits) + letter;
  }
  return plain(value, 0);
}

/** The same where decimals that are 0 only take room. */
const briefly = (value) => compact(value).replace(/\.0+(?=\D|$)|(\.\d*?)0+(?=\D|$)/, "$1");

/** Wall time: 8.4 s, 3 min 12 s, 1 h 05 min. */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 59.95) return `${plain(seconds, 1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(whole % 60)} s`;
}

/** A number in so many digits. */
const precisely = (value, digits) => String(Number(value.toPrecision(digits))).replace("-", "−");

/** How values of a unit are written. */
const WRITE = {
  "%": (value) => plain(100 * value, 1),
  points: (value) => signed(100 * value, 1),
  "nats/token": (value) => plain(value, 3),
  "×": (value) => plain(value, 2),
  rollouts: count,
  tokens: (value) => (value < 999999.5 ? count(value) : `${plain(value / 1e6, 2)} M`),
  seconds: duration,
};

function write(value, unit) {
  if (value === null) return NOTHING;
  const other = () => precisely(value, 4);
  return (WRITE[unit] ?? other)(value);
}

/** `1 row`, `2 rows`. */
const counted = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

const sum = (values) => values.reduce((total, each) => total + (each ?? 0), 0);
const percent = (value) => (value === null ? NOTHING : `${write(value, "%")} %`);

/** Round numbers from `low` to `high`, about `count` of them. */
function ticks(low, high, count, whole = false) {
  const rough = (high - low) / Math.max(count, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + 1e-9 * step; place++) {
    found.push(Number((place * step).toPrecision(12)));
  }
  return found;
}
