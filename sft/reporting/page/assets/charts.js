/** Charts are drawn when they come into view, and again when the ground changes. */
const drawn = new Map();

function isDark() {
  const chosen = document.documentElement.dataset.ground;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function draw(place, spec) {
  drawn.get(place)?.view?.finalize();
  const config = DATA.themes[isDark() ? "dark" : "light"];
  const view = new vega.View(vega.parse(vegaLite.compile(spec, { config }).spec), { renderer: "svg", container: place });
  drawn.set(place, { spec, view });
  view.runAsync().then(() => entitle(place, spec.data.values));
}

/** Labels that are cut or wrapped have their whole text as a title. */
function entitle(place, values) {
  const wholes = new Map(values.filter(({ whole }) => whole).map(({ choice, whole }) => [choice.replaceAll("\n", ""), whole]));
  for (const text of wholes.size ? place.querySelectorAll("text") : []) {
    const whole = wholes.get(text.textContent);
    if (!whole) continue;
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = whole;
    text.append(title);
    text.style.pointerEvents = "all";
  }
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && !drawn.get(target).view) draw(target, drawn.get(target).spec);
  }
});

/** A figure with its title; `spec` is Vega-Lite with data. */
function figure(title, spec) {
  const place = element("div", { class: "chart", role: "img", "aria-label": title });
  drawn.set(place, { spec, view: null });
  watcher.observe(place);
  return element("figure", {}, element("figcaption", {}, title), place);
}

/** One map per mark from a list per key. */
function byRow(columns) {
  const entries = Object.entries(columns).map(([key, column]) => [key, column.places ? column.places.map((place) => column.texts[place]) : column]);
  return entries.length ? entries[0][1].map((_, row) => Object.fromEntries(entries.map(([key, column]) => [key, column[row]]))) : [];
}

function drawAgain() {
  for (const [place, { spec, view }] of drawn) {
    if (!place.isConnected) { view?.finalize(); drawn.delete(place); }
    else if (view) draw(place, spec);
  }
}
