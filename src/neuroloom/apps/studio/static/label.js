// What every bench of labelling shares: its frame, its way to the HTTP API, undo and redo. A bench
// changes nothing by itself: it sends edits, and shows what the studio has kept.
(() => {
  if (window.studioBench) return;
  const STYLE = `
    :host { display: grid; gap: 0.75rem; min-width: 0; color: var(--text); font: inherit; }
    .tools { display: flex; flex-wrap: wrap; gap: 0.4rem 0.6rem; align-items: end; }
    .tools label { display: grid; gap: 0.15rem; font-size: 0.875rem; color: var(--muted); }
    .tools button, .tools select, .tools input { min-height: 2.4rem; padding: 0.3rem 0.7rem; width: auto; }
    .tools input[type=text] { width: 9rem; } .tools input[type=number] { width: 5.5rem; }
    .tools input[type=range] { padding: 0; width: 9rem; accent-color: var(--accent); }
    .group { display: flex; gap: 0.5rem; align-items: end; }
    label.line { display: flex; gap: 0.4rem; align-items: center; font-size: 0.875rem; }
    .tools label.line { display: flex; gap: 0.4rem; align-items: center; min-height: 2.4rem; }
    .side { display: grid; gap: 0.75rem; grid-template-columns: minmax(0, 1fr) minmax(13rem, 17rem); align-items: start; }
    canvas { display: block; width: 100%; background: #000; border: 1px solid var(--line); border-radius: 8px; touch-action: none; }
    canvas:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
    .choices { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.15rem; max-height: 30rem; overflow: auto; }
    .choices button { width: 100%; justify-content: flex-start; min-height: 2.2rem; padding: 0.25rem 0.6rem; border-color: transparent; text-align: left; }
    .choices button[aria-pressed=true], .tools button[aria-pressed=true] { background: var(--soft); border-color: var(--accent); color: var(--accent); font-weight: 600; }
    .dot { width: 0.8rem; height: 0.8rem; border-radius: 50%; flex: none; border: 2px solid var(--c); }
    .dot.full { background: var(--c); }
    .choices .more { margin-left: auto; font-size: 0.8rem; color: var(--muted); font-weight: 400; }
    .said { font-size: 0.875rem; color: var(--muted); min-height: 1.4em; }
    .said.wrong { color: var(--bad); }
    .hint { font-size: 0.8125rem; color: var(--muted); }
    kbd { font-family: var(--mono); font-size: 0.8em; border: 1px solid var(--edge); border-radius: 4px; padding: 0 0.3em; background: var(--raised); }
    .panel { display: grid; gap: 0.5rem; align-content: start; min-width: 0; }
    details { border: 1px solid var(--line); border-radius: 8px; padding: 0.25rem 0.75rem; background: var(--surface); }
    .log { font-size: 0.8125rem; max-height: 14rem; overflow: auto; padding-left: 1.1rem; overflow-wrap: anywhere; }
    @media (max-width: 46rem) { .side { grid-template-columns: minmax(0, 1fr); }
      .choices { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); max-height: 11rem; } }`;
  const COLOURS = ["#4fd1c5", "#f6ad55", "#b794f4", "#63b3ed", "#f6e05e", "#fc8181", "#68d391", "#f687b3",
    "#90cdf4", "#fbd38d", "#d6bcfa", "#9ae6b4"];

  class Bench extends HTMLElement {
    connectedCallback() {
      if (this.root) return;
      this.root = this.attachShadow({ mode: "open" });
      this.root.append(this.make("link", { rel: "stylesheet", href: "/static/studio.css" }),
        this.make("style", { textContent: STYLE }));
      this.id_ = this.dataset.id;
      this.said = this.make("div", { className: "said", textContent: "Loading" });
      this.said.setAttribute("role", "status");
      this.root.append(this.said);
      this.done = []; this.undone = []; this.waiting = Promise.resolve(); this.open = 0;
      addEventListener("beforeunload", this.leaving = (event) => { if (this.open) event.preventDefault(); });
      this.load().then(() => this.build()).catch((error) => this.complain(error));
    }
    disconnectedCallback() { removeEventListener("beforeunload", this.leaving); this.watch?.disconnect(); this.stop?.(); }
    make(tag, more = {}, ...inside) {
      const { aria, on, ...plain } = more;
      const made = Object.assign(document.createElement(tag), plain);
      for (const [k, v] of Object.entries(aria || {})) made.setAttribute(k === "role" ? k : `aria-${k}`, v);
      for (const [k, v] of Object.entries(on || {})) made.addEventListener(k, v);
      made.append(...inside);
      return made;
    }
    button(text, click, more = {}) { return this.make("button", { type: "button", textContent: text, on: { click }, ...more }); }
    labelled(text, control, line) { return this.make("label", { className: line ? "line" : "" }, ...(line ? [control, text] : [text, control])); }
    select(options, value, change) {
      const made = this.make("select", { on: { change: () => change(made.value) } });
      for (const [name, shown] of options) made.append(this.make("option", { value: name, textContent: shown }));
      made.value = value;
      return made;
    }
    colour(k) { return COLOURS[k % COLOURS.length]; }
    theme(name) { return getComputedStyle(this).getPropertyValue(name).trim(); }
    tell(text) { this.said.classList.remove("wrong"); this.said.textContent = text; }
    complain(error) { this.said.classList.add("wrong"); this.said.textContent = error.message || String(error); }
    get who() { return localStorage.getItem("neuroloom-who") || ""; }
    address(rest = "", words) { return `/api/labels/${encodeURIComponent(this.id_)}${rest}${words ? `?${new URLSearchParams(words)}` : ""}`; }
    async ask(address, body) {
      const sent = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      const answer = await fetch(address, sent);
      if (answer.ok) return answer;
      const said = await answer.json().catch(() => ({}));
      throw new Error(said.message || `The studio answered ${answer.status}.`);
    }
    async json(address, body) { return (await this.ask(address, body)).json(); }
    async load() { this.head = await this.json(this.address()); this.version = this.head.version; }
    // One after the other, in the order they were made. Said to be saved only once it is.
    send(edits) {
      this.open += 1;
      this.tell("Saving");
      const one = async () => {
        const before = this.version;
        const kept = await this.json(this.address("/edits"), { edits, who: this.who });
        this.version = kept.version;
        this.open -= 1;
        const count = kept.total ? `${kept.done} of ${kept.total}` : kept.done;
        if (!this.open) this.tell(`Saved. ${count} ${count === 1 ? kept.unit.replace(/s$/, "") : kept.unit}.`);
        if (kept.version !== before + 1) await this.refresh();
        return kept;
      };
      const made = this.waiting.then(one).catch(async (error) => {
        this.open -= 1;
        this.done = []; this.undone = [];
        await this.refresh().catch(() => {});
        this.complain(new Error(`Not saved: ${error.message}`));
      });
      this.waiting = made;
      return made;
    }
    // Somebody else changed the same work in another tab, or an edit was refused: what is kept counts.
    async refresh() { await this.load(); this.refreshed?.(); }
    change(forth, back) { this.done.push([forth, back]); this.undone = []; if (this.done.length > 500) this.done.shift(); this.perform(forth); }
    undo() { const last = this.done.pop(); if (!last) return this.tell("Nothing to undo."); this.undone.push(last); this.perform(last[1], true); }
    redo() { const last = this.undone.pop(); if (!last) return this.tell("Nothing to redo."); this.done.push(last); this.perform(last[0], true); }
    undoKeys(event) {
      if (!(event.ctrlKey || event.metaKey)) return false;
      const key = event.key.toLowerCase();
      if (key === "z" && !event.shiftKey) this.undo();
      else if (key === "y" || (key === "z" && event.shiftKey)) this.redo();
      else return false;
      event.preventDefault();
      return true;
    }
    common() {
      const who = this.make("input", { type: "text", value: this.who, placeholder: "initials", autocomplete: "off",
        on: { input: () => localStorage.setItem("neuroloom-who", who.value) } });
      return [this.button("Undo", () => this.undo(), { title: "Ctrl Z" }), this.button("Redo", () => this.redo(), { title: "Ctrl Y" }),
        this.labelled("Who labels", who)];
    }
    logPanel() {
      const list = this.make("ol", { className: "log" });
      const made = this.make("details", { on: { toggle: () => made.open && fill() } }, this.make("summary", { textContent: "Log of corrections" }), list);
      const fill = async () => {
        const lines = await this.json(this.address("/log", { most: 60 }));
        list.replaceChildren(...lines.map((line) => this.make("li", { textContent: this.logLine(line) })));
        if (!lines.length) list.append(this.make("li", { textContent: "Nothing yet." }));
      };
      return made;
    }
    logLine(line) {
      const { when, who, ...rest } = line;
      return `${when.slice(0, 16).replace("T", " ")} ${who}: ${Object.entries(rest).map(([k, v]) => `${k} ${JSON.stringify(v)}`).join(", ")}`;
    }
    fit(canvas, height) {
      const ratio = devicePixelRatio || 1, width = canvas.clientWidth || 600;
      canvas.style.height = `${height}px`;
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      return [pen, width, height];
    }
    redrawWith(canvas, draw) {
      let last = 0;
      this.watch = new ResizeObserver(() => { if (canvas.clientWidth !== last) { last = canvas.clientWidth; draw(); } });
      this.watch.observe(canvas);
      new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    }
  }
  window.studioBench = Bench;
})();
