/** The details of one experiment in a dialog; arrows go to its neighbours in the table. */
const dialog = document.getElementById("details");
let neighbours = [];

function openDetails(id, ids) {
  neighbours = ids.filter((other) => other in DATA.experiments);
  showDetails(id);
  if (!dialog.open) dialog.showModal();
}

function showDetails(id) {
  const found = DATA.experiments[id];
  const place = neighbours.indexOf(id);
  history.replaceState(null, "", `#${id}`);
  dialog.dataset.id = id;
  dialog.replaceChildren(...[
    element("div", { class: "bar-top" },
      element("button", { type: "button", disabled: place <= 0, onclick: () => step(-1), "aria-label": "previous experiment" }, "‹"),
      element("button", { type: "button", disabled: place < 0 || place >= neighbours.length - 1, onclick: () => step(1), "aria-label": "next experiment" }, "›"),
      element("h2", { id: "details-title" }, found.name),
      element("button", { type: "button", onclick: () => dialog.close(), "aria-label": "close" }, "×")),
    element("p", { class: "muted" }, `id ${id} · folder experiments/${found.folder} · seed ${found.seed}`),
    found.place && element("p", { class: "muted" }, found.place),
    ...sections(found)].filter(Boolean));
  dialog.scrollTop = 0;
}

function step(by) {
  const next = neighbours[neighbours.indexOf(dialog.dataset.id) + by];
  if (next) showDetails(next);
}

function sections(found) {
  const [wrong, rows] = found.counts;
  return [
    element("div", { class: "beside" },
      section("Results", plainTable(["metric", "value"], Object.entries(found.results))),
      section("Settings that are not as in the best", settingsTable(found.settings))),
    element("div", { class: "charts" }, ...Object.entries(found.charts).map(([name, chart]) => detailChart(name, chart))),
    found.training && section("Training", element("div", { class: "charts steps" }, ...stepCharts(found.training))),
    found.labels && section("By label", plainTable(["label", "precision", "recall", "F1", "rows"], found.labels, [0, 4, 4, 4, 0])),
    found.confused && section("Most frequent confusions", plainTable(["gold label", "prediction", "rows"], found.confused)),
    (wrong !== null || found.scored_by) && section(errorsTitle(found, wrong, rows), ...errors(found)),
    found.prompt && section("A prompt as the model saw it", element("pre", { tabindex: "0" }, found.prompt)),
  ].filter(Boolean);
}

function section(title, ...content) {
  return element("section", {}, element("h3", {}, title), ...content);
}

function settingsTable(settings) {
  if (settings === null) return element("p", {}, "too many to show");
  return settings.length ? plainTable(["setting", "here", "in the best"], settings) : element("p", {}, "none: its settings are those of the best");
}

function detailChart(name, { height, columns }) {
  const { title, spec } = DATA.templates[name];
  return figure(title, { ...spec, height, data: { values: byRow(columns) } });
}

/** A chart per number of the logged steps; all have the steps in common. */
function stepCharts({ step, ...series }) {
  return Object.entries(series).map(([name, numbers]) => {
    const { title, spec } = DATA.templates[name];
    return figure(title, { ...spec, data: { values: byRow({ step, [name]: numbers }) } });
  });
}

function errorsTitle({ scored_by: scoredBy, errors }, wrong, rows) {
  if (wrong === null) return `Texts, worst ${scoredBy} of the row alone first`;
  const hasLabels = errors.some(({ probabilities }) => probabilities.length);
  const first = scoredBy && hasLabels ? `, worst ${scoredBy} of the row alone first` : "";
  if (!scoredBy || hasLabels) return `Worst errors${first} (${wrong} of ${rows} test rows are wrong)`;
  return `Outputs beside references, worst ${scoredBy} of the row alone first (${wrong} of ${rows} test rows are not the reference)`;
}

function errors(found) {
  if (!DATA.texts) return [element("p", { class: "muted" }, "texts were left out of this page")];
  return found.errors.map(({ row, text, score, gold, prediction, probabilities }) => element("article", { class: "error" },
    element("p", { class: "muted" }, score === null ? row : `${row}: ${found.scored_by} ${numberText(score, 4)}`),
    element("blockquote", {}, found.counts[0] === null ? gold : text),
    found.counts[0] === null ? null : probabilities.length ? goldAndPrediction(gold, prediction) : beside(gold, prediction),
    probabilities.length ? element("ul", { class: "probabilities" }, ...probabilities.map(probability)) : null));
}

function goldAndPrediction(gold, prediction) {
  return element("p", {}, "gold ", element("b", {}, gold), ", predicted ", element("b", {}, prediction));
}

/** Two texts in two columns, one below the other on a narrow screen. */
function beside(reference, written) {
  return element("div", { class: "texts" }, ...[["reference", reference], ["written", written]].map(([title, text]) =>
    element("div", {}, element("p", { class: "muted" }, title), element("blockquote", {}, text))));
}

function probability([label, value]) {
  const bar = element("span", { class: "share", "aria-hidden": "true" });
  bar.style.width = `${100 * value}%`;
  return element("li", {}, bar, element("span", {}, `${label} ${value.toFixed(3)}`));
}

dialog.addEventListener("close", () => { history.replaceState(null, "", location.pathname + location.search); drawAgain(); });
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
