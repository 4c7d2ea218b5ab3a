"use strict";
// Draws the charts, shows long tables a page at a time, saves files. Whatever the file holds is shown as text, never as HTML.
(() => {
  const PAGE_ROWS = 100;
  const PAPER_WIDTH = 660; // pixels: what A4 leaves between the margins, so that no chart is cut
  const PAPER_CUT = 130; // pixels by which charts are lower there than on a screen, so that two fit on a sheet
  const PAPER_PLOT = 180; // pixels that are left for what is inside the axes
  const PAPER_LEGEND = 300; // pixels a legend may take: paper does not scroll
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const look = read("look");
  const touch = matchMedia("(pointer: coarse)").matches; // there a drag scrolls the page until a chart is zoomed

  // --- charts ---------------------------------------------------------------------------------------------------------

  function draw(plot) {
    const { data, layout } = read(plot.dataset.figure);
    layout.template = look.template;
    layout.dragmode = touch ? false : "zoom";
    plot.home = layout; // ranges of before, for "Show all"
    Plotly.newPlot(plot, data, structuredClone(layout), look.config);
  }

  const waiting = [...document.querySelectorAll(".plot")];

  function drawNext() { // one at a time, so that the page can be read and scrolled meanwhile
    const plot = waiting.shift();
    if (!plot) {
      document.documentElement.dataset.drawn = "all";
      return;
    }
    draw(plot);
    setTimeout(drawNext);
  }

  function axes(plot) {
    return ["xaxis", "yaxis"].filter((name) => plot.layout[name]?.range);
  }

  function zoom(plot, factor) {
    const change = { dragmode: touch ? "pan" : "zoom" };
    for (const name of axes(plot)) {
      const [low, high] = plot.layout[name].range; // logarithms and places of categories are numbers, too
      const middle = (low + high) / 2;
      const reach = ((high - low) / 2) * factor;
      change[`${name}.range`] = [middle - reach, middle + reach];
    }
    Plotly.relayout(plot, change);
  }

  function showAll(plot) {
    const change = { dragmode: plot.home.dragmode };
    for (const name of axes(plot)) {
      const { range, autorange } = plot.home[name] ?? {};
      change[range ? `${name}.range` : `${name}.autorange`] = range ?? autorange ?? true;
    }
    Plotly.relayout(plot, change);
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    const plot = button?.closest("figure")?.querySelector(".js-plotly-plot");
    if (!plot) return;
    if (button.dataset.picture !== undefined) {
      const { width, height } = plot.getBoundingClientRect();
      Plotly.downloadImage(plot, { format: "png", scale: 2, width, height, filename: button.dataset.picture });
    } else if (button.dataset.zoom) {
      zoom(plot, Number(button.dataset.zoom));
    } else if (button.dataset.zoom === "") {
      showAll(plot);
    }
  });

  // --- paper ----------------------------------------------------------------------------------------------------------

  const opened = [];

  function setHeight(plot, height, change) {
    plot.style.height = `${height}px`;
    Plotly.relayout(plot, { ...change, height });
  }

  function toPaper(plot) {
    const height = plot.home.height - PAPER_CUT;
    const legend = plot.home.legend && { "legend.maxheight": PAPER_LEGEND };
    setHeight(plot, height, { width: PAPER_WIDTH, ...legend });
    const inside = plot.querySelector(".nsewdrag")?.getAttribute("height") ?? PAPER_PLOT;
    if (inside < PAPER_PLOT) setHeight(plot, height + PAPER_PLOT - inside, {}); // long names and legends need their room
  }

  function toScreen(plot) {
    const legend = plot.home.legend && { "legend.maxheight": plot.home.legend.maxheight };
    setHeight(plot, plot.home.height, { width: null, autosize: true, ...legend });
  }

  addEventListener("beforeprint", () => {
    while (waiting.length) draw(waiting.shift());
    document.querySelectorAll(".plot").forEach(toPaper);
    for (const part of document.querySelectorAll("details[data-print]:not([open])")) {
      part.open = true;
      opened.push(part);
    }
  });

  addEventListener("afterprint", () => {
    document.querySelectorAll(".plot").forEach(toScreen);
    for (const part of opened.splice(0)) part.open = false;
  });

  // --- long tables ------------------------------------------------------------------------------------------------------

  function element(name, text, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function fill(place) {
    const { columns, rows } = read(place.dataset.rows);
    let found = rows;
    let start = 0;

    const search = element("input", undefined, { type: "search", autocomplete: "off" });
    const label = element("label", "Rows that contain ");
    label.append(search);
    const earlier = element("button", "Previous", { type: "button" });
    const later = element("button", "Next", { type: "button" });
    const where = element("span", "", { role: "status" });
    const body = element("tbody");
    const head = element("tr");
    for (const column of columns) head.append(element("th", column, { scope: "col" }));
    const table = element("table");
    const thead = element("thead");
    thead.append(head);
    table.append(thead, body);
    const scroll = element("div", undefined, { className: "scroll tall", tabIndex: 0 });
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", place.dataset.name);
    scroll.append(table);
    const tools = element("div", undefined, { className: "tools" });
    tools.append(label, earlier, later, where);
    place.append(tools, scroll);

    function show() {
      const page = found.slice(start, start + PAGE_ROWS);
      body.replaceChildren(
        ...page.map((row) => {
          const line = element("tr");
          line.append(...row.map((cell) => element("td", cell)));
          return line;
        }),
      );
      const count = (number) => number.toLocaleString("en");
      const of = found.length === rows.length ? count(rows.length) : `${count(found.length)} found among ${count(rows.length)}`;
      where.textContent = page.length ? `Rows ${count(start + 1)} to ${count(start + page.length)} of ${of}` : "No such row";
      earlier.disabled = start === 0;
      later.disabled = start + PAGE_ROWS >= found.length;
      scroll.scrollTop = 0;
    }

    earlier.addEventListener("click", () => { start -= PAGE_ROWS; show(); });
    later.addEventListener("click", () => { start += PAGE_ROWS; show(); });
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase();
      found = rows.filter((row) => row.some((cell) => cell.toLowerCase().includes(words)));
      start = 0;
      show();
    });
    show();
  }

  for (const place of document.querySelectorAll(".paged")) {
    place.closest("details").addEventListener("toggle", () => fill(place), { once: true });
  }

  // --- files ------------------------------------------------------------------------------------------------------------

  for (const button of document.querySelectorAll("button.save")) {
    button.addEventListener("click", () => {
      const text = document.getElementById(button.dataset.archive).textContent;
      const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      const address = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
      const link = element("a", undefined, { href: address, download: button.dataset.name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser may still be asking where to
    });
  }

  drawNext();
})();
