const DATA = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes and children; text is always text, never markup. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const MISSING = "n/a";

function isNumber(value) {
  return typeof value === "number";
}

/** A number with so many digits behind the point; whole ones with thousands apart. */
function numberText(value, digits) {
  if (!isNumber(value)) return value === null || value === undefined ? MISSING : String(value);
  return digits === 0 ? Math.round(value).toLocaleString("en") : value.toFixed(digits);
}

function signed(value) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(4);
}

function intervalText(interval, form = (value) => value.toFixed(4)) {
  return interval ? `[${form(interval[0])}, ${form(interval[1])}]` : MISSING;
}

/** A table that does not sort; a column of numbers stands to the right, one of whole numbers without digits unless they are written. */
function plainTable(headers, rows, written = []) {
  const kinds = headers.map((_, place) => (rows.every((row) => isNumber(row[place]) || row[place] === null) && rows.some((row) => isNumber(row[place])) ? "number" : null));
  const digits = kinds.map((_, place) => written[place] ?? (rows.every((row) => row[place] === null || Number.isInteger(row[place])) ? 0 : 4));
  return element("div", { class: "scroll", tabindex: "0" }, element("table", { class: "plain" },
    element("thead", {}, element("tr", {}, ...headers.map((title, place) => element("th", { scope: "col", class: kinds[place] }, title)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((value, place) => element("td", { class: kinds[place] }, numberText(value, digits[place]))))))));
}
