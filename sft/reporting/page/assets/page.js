function summary() {
  const others = Object.entries(DATA.states).map(([state, count]) => `${count} ${state}`);
  return [`${DATA.done} done`, ...others].join(" · ");
}

function folded(title, ...content) {
  return element("details", {}, element("summary", {}, title), ...content);
}

function boardSection(board, number) {
  const label = `set-ups of board ${number + 1}`;
  return element("section", { class: "board" },
    element("h2", {}, DATA.boards.length > 1 ? `${number + 1}. ${board.title}` : board.title),
    ...board.verdict.map((text, place) => element("p", { class: place ? "verdict" : "headline" }, text)),
    ...board.warnings.map((warning) => element("p", { class: "note" }, warning)),
    new SortedTable(board.groups, label, openDetails).element,
    ...board.marks.map((text) => element("p", { class: "small" }, text)),
    ...board.notes.map((note) => element("p", { class: "muted small" }, note)),
    board.baselines.length ? baselines(board) : null,
    ...board.left_out.map((text) => element("p", { class: "muted small" }, text)),
    element("div", { class: "charts" }, ...board.charts.map(({ title, spec }) => figure(title, spec))),
    board.numbers.length ? numbers(board) : null,
    board.suspects ? suspects(board.suspects) : null,
    board.runs ? folded(`Every experiment (${board.runs.rows.length})`, new SortedTable(board.runs, `experiments of board ${number + 1}`, openDetails).element) : null,
    board.constants.length ? folded("The same in all rows", plainTable(["setting", "value"], board.constants)) : null,
    board.labels ? folded(`Labels (${board.labels.length})`, element("p", {}, board.labels.join(", "))) : null);
}

function baselines(board) {
  const names = [...new Set(board.baselines.flatMap(([, results]) => Object.keys(results)))];
  const rows = board.baselines.map(([title, results]) => [title, ...names.map((name) => results[name] ?? null)]);
  return section("Baselines on the same shots and rows, not ranked", plainTable(["baseline", ...names], rows));
}

function numbers(board) {
  const shown = board.numbers.map((part) => (typeof part === "string" ? element("p", {}, part) : plainTable(part.headers, part.rows)));
  return folded("Effects, learning curves, calibration, costs and labels in numbers", ...shown);
}

function suspects(found) {
  const told = found.lines.map((text) => element("p", {}, text));
  return folded(`Rows whose gold may be wrong (${found.n})`, ...told, plainTable(found.headers, found.rows));
}

function unfinished() {
  if (!DATA.unfinished.length) return null;
  return element("section", { class: "board" }, element("h2", {}, "Without a result"), plainTable(["experiment", "state", "stage", "kind", "reason"], DATA.unfinished));
}

function setGround(dark) {
  document.documentElement.dataset.ground = dark ? "dark" : "light";
  document.getElementById("ground").textContent = dark ? "light" : "dark";
  drawAgain();
}

const main = document.getElementById("main");
document.getElementById("summary").textContent = summary();
main.append(...DATA.boards.map(boardSection), ...[unfinished()].filter(Boolean));
if (!DATA.boards.length) main.append(element("p", {}, "No experiment has a result yet."));
if (DATA.others) main.append(element("p", { class: "muted" }, `${DATA.others} more in this folder are not in its grid: leaderboard.md names them.`));
document.getElementById("ground").textContent = isDark() ? "light" : "dark";
document.getElementById("ground").addEventListener("click", () => setGround(!isDark()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
const asked = location.hash.slice(1);
if (Object.hasOwn(DATA.experiments, asked)) openDetails(asked, Object.keys(DATA.experiments));
