const MOST_ROWS = 200;
const MOST_CHOICES = 12;

/** What a cell is sorted by; undefined goes last in either direction. */
function sortValue(column, cell) {
  if (cell === null || cell === undefined || cell === "") return undefined;
  return Array.isArray(cell) ? cell[0] : cell;
}

function compare(left, right) {
  if (isNumber(left) && isNumber(right)) return left - right;
  return String(left).localeCompare(String(right), "en", { numeric: true });
}

/** A bar from low to high within the range of all intervals of the column. */
function intervalBar(interval, range) {
  const width = range[1] - range[0] || 1;
  const place = (value) => `${(100 * (value - range[0])) / width}%`;
  const bar = element("span", { class: "bar", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.left = place(interval[0]);
  bar.firstChild.style.width = `calc(${place(interval[1])} - ${place(interval[0])})`;
  return bar;
}

function cellContent(column, cell, open, range) {
  if (column.kind === "name") return [element("button", { type: "button", class: "link", onclick: open, disabled: !open }, cell)];
  if (column.kind === "interval") return cell ? [intervalBar(cell, range), intervalText(cell)] : [MISSING];
  if (column.kind === "difference") return cell ? [`${signed(cell[0])} ${intervalText(cell.slice(1), signed)}`] : [""];
  if (column.kind === "mark") return cell ? [element("span", { class: "mark" }, cell)] : [""];
  if (column.kind === "setting") return [element("div", { title: column.wholes?.[cell] }, cell === null ? MISSING : String(cell))];
  if (column.title === "p (Holm)") return [cell === null ? "" : cell < 0.001 ? "< 0.001" : cell.toFixed(3)];
  return [numberText(cell, column.digits)];
}

/** A table that sorts by its headers and filters by text and by settings. */
class SortedTable {
  constructor(table, label, open) {
    Object.assign(this, { columns: table.columns, open, by: null, descending: false, most: MOST_ROWS });
    this.rows = table.rows.map((cells, place) => ({ cells, id: table.opens[place] }));
    this.ranges = this.columns.map((column, place) => this.range(column, place));
    this.body = element("tbody");
    this.headers = this.columns.map((column, place) => this.header(column, place));
    this.filter = element("input", { type: "search", placeholder: "filter", "aria-label": `filter ${label}`, oninput: () => this.show() });
    this.choices = this.columns.map((column, place) => this.choice(column, place)).filter(Boolean);
    this.count = element("span", { class: "muted", role: "status" });
    this.more = element("button", { type: "button", onclick: () => { this.most = Infinity; this.show(); } }, "show all");
    this.element = element("div", { class: "sorted" },
      element("div", { class: "controls" }, this.filter, this.sorting(), this.count, this.choiceBox()),
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
        element("table", {}, element("thead", {}, element("tr", {}, ...this.headers)), this.body)),
      this.more);
    this.show();
  }

  choiceBox() {
    if (!this.choices.length) return null;
    return element("details", { class: "choices", open: matchMedia("(min-width: 641px)").matches && this.choices.length <= 6 },
      element("summary", {}, "filter by setting"), element("div", { class: "controls" }, ...this.choices.map(({ label }) => label)));
  }

  range(column, place) {
    if (column.kind !== "interval") return null;
    const known = this.rows.map(({ cells }) => cells[place]).filter(Boolean);
    return [Math.min(...known.map(([low]) => low)), Math.max(...known.map(([, high]) => high))];
  }

  sortBy(place) {
    const { title, kind } = this.columns[place];
    this.descending = this.by === place ? !this.descending : title.includes("↑") || ["interval", "difference"].includes(kind);
    this.by = place;
    this.show();
  }

  /** For screens so narrow that the table has no headers. */
  sorting() {
    const choices = this.columns.map(({ title }, place) => (title ? element("option", { value: place }, title) : null)).filter(Boolean);
    return element("label", { class: "narrow" }, "sort by ", element("select", { onchange: (event) => this.sortBy(Number(event.target.value)) }, ...choices));
  }

  header(column, place) {
    const sort = () => this.sortBy(place);
    const label = column.title || "mark";
    return element("th", { scope: "col", class: column.kind, title: column.hint || null }, element("button", { type: "button", onclick: sort, "aria-label": `sort by ${label}` }, column.title || "·"));
  }

  choice(column, place) {
    if (column.kind !== "setting") return null;
    const values = [...new Set(this.rows.map(({ cells }) => String(cells[place] ?? MISSING)))];
    if (values.length < 2 || values.length > MOST_CHOICES) return null;
    values.sort((left, right) => compare(left, right));
    const select = element("select", { onchange: () => this.show() }, element("option", { value: "" }, "any"), ...values.map((value) => element("option", { value: `=${value}` }, value)));
    return { place, select, label: element("label", {}, `${column.title} `, select) };
  }

  chosen() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const passes = ({ cells }) => {
      if (this.choices.some(({ place, select }) => select.value && select.value !== `=${cells[place] ?? MISSING}`)) return false;
      const text = this.columns.map(({ kind }, place) => (["name", "setting", "mark"].includes(kind) ? cells[place] : "")).join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    };
    const found = this.rows.filter(passes);
    if (this.by === null) return found;
    const column = this.columns[this.by];
    const value = ({ cells }) => sortValue(column, cells[this.by]);
    const sign = this.descending ? -1 : 1;
    return found.sort((left, right) => {
      const [a, b] = [value(left), value(right)];
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return sign * compare(a, b);
    });
  }

  show() {
    const found = this.chosen();
    const shown = found.slice(0, this.most);
    this.body.replaceChildren(...shown.map((row) => this.row(row, found)));
    this.headers.forEach((header, place) => {
      if (place === this.by) header.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    });
    this.count.textContent = found.length === this.rows.length ? `${found.length} rows` : `${found.length} of ${this.rows.length} rows`;
    this.more.hidden = shown.length === found.length;
  }

  row({ cells, id }, found) {
    const open = id in DATA.experiments ? () => this.open(id, found.map((row) => row.id)) : null;
    const made = element("tr", {}, ...this.columns.map((column, place) => element("td",
      { class: column.is_main ? column.kind : `${column.kind} more`, "data-title": column.title || null },
      ...cellContent(column, cells[place], open, this.ranges[place]))));
    if (cells[0] === 1) made.classList.add("first");
    return made;
  }
}
