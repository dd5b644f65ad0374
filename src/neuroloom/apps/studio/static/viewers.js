// Viewers of data. Each is an element that asks the HTTP API for a header and for windows; what is
// drawn is what any program could get. Keys work while the picture has the focus.
(() => {
  if (customElements.get("studio-signal")) return;
  const STYLE = `
    *, *::before { box-sizing: border-box; }
    :host { display: grid; gap: 0.75rem; min-width: 0; color: var(--text); font: inherit; }
    .bar { display: flex; flex-wrap: wrap; gap: 0.5rem 0.9rem; align-items: end; }
    label { display: grid; gap: 0.15rem; font-size: 0.875rem; color: var(--muted); }
    input, select, button { font: inherit; color: var(--text); background: var(--surface);
      border: 1px solid var(--edge); border-radius: 8px; padding: 0.35rem 0.6rem; height: 2.5rem; }
    input[type=range] { padding: 0; height: 1.5rem; min-width: 9rem; width: 100%; accent-color: var(--accent); }
    input[type=number] { width: 6.5rem; }
    select { max-width: 16rem; }
    button { cursor: pointer; } button:hover { background: var(--raised); }
    button:disabled { color: var(--muted); cursor: default; }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 6px; }
    canvas { display: block; width: 100%; background: var(--surface); border: 1px solid var(--line);
      border-radius: 8px; touch-action: none; }
    .planes { display: grid; gap: 0.75rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
    figure { margin: 0; display: grid; gap: 0.35rem; min-width: 0; align-content: start; }
    figcaption { font-size: 0.875rem; color: var(--muted); }
    .frame { position: relative; background: #000; border-radius: 8px; overflow: hidden; cursor: crosshair; }
    .frame img { display: block; width: 100%; image-rendering: pixelated; }
    .frame canvas { position: absolute; inset: 0; height: 100%; background: none; border: 0; }
    .bar input[type=range] { height: 2.5rem; }
    .said { font-size: 0.875rem; color: var(--muted); min-height: 1.3em; }
    .wrong { color: var(--bad); }
    .hint { font-size: 0.8125rem; color: var(--muted); }
    .channels { max-height: 11rem; overflow: auto; display: grid; gap: 0.1rem 0.9rem;
      grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); border: 1px solid var(--line);
      border-radius: 8px; padding: 0.5rem 0.75rem; }
    .channels label { display: flex; gap: 0.4rem; align-items: center; color: var(--text); }
    .channels input { height: auto; accent-color: var(--accent); }
    summary { cursor: pointer; font-size: 0.9rem; }`;
  const make = (tag, more = {}, ...inside) => {
    const { aria, ...plain } = more;
    const made = Object.assign(document.createElement(tag), plain);
    if (aria) made.setAttribute("aria-label", aria);
    made.append(...inside);
    return made;
  };
  const labelled = (text, control) => make("label", {}, text, control);
  const select = (options, value, change) => {
    const made = make("select");
    for (const [name, shown] of options) made.append(make("option", { value: name, textContent: shown }));
    made.value = value;
    made.addEventListener("change", () => change(made.value));
    return made;
  };
  const clock = (s) => {
    const whole = Math.floor(s), part = (s - whole).toFixed(2).slice(1);
    const two = (n) => String(n).padStart(2, "0");
    return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}${part}`;
  };
  const short = (v) => (v === null || v === undefined ? "–" : Math.abs(v) >= 1e7 || (v && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(Math.round(v * 1000) / 1000));

  class Viewer extends HTMLElement {
    connectedCallback() {
      if (this.root) return;
      this.root = this.attachShadow({ mode: "open" });
      this.root.append(make("style", { textContent: STYLE }));
      this.said = make("div", { className: "said" });
      this.said.setAttribute("role", "status");
      this.path = this.dataset.path;
      this.more = JSON.parse(this.dataset.more || "{}");
      this.kind = this.localName.replace("studio-", "");
      this.said.textContent = "Loading";
      this.root.append(this.said);
      this.begin().catch((error) => this.complain(error));
    }
    disconnectedCallback() { this.watch?.disconnect(); this.stop?.(); }
    complain(error) { this.said.textContent = error.message; this.said.classList.add("wrong"); }
    address(words, path = this.path) {
      return `/api/view/${this.kind}/window?${new URLSearchParams({ path, ...words })}`;
    }
    async ask(address) {
      const answer = await fetch(address);
      if (!answer.ok) {
        const said = await answer.json().catch(() => ({}));
        throw new Error(said.message || `The studio answered ${answer.status}.`);
      }
      return answer;
    }
    async head(path = this.path) {
      return (await this.ask(`/api/view/${this.kind}?${new URLSearchParams({ path })}`)).json();
    }
    // One question at a time; of those that come meanwhile only the last is asked.
    async latest(work) {
      this.next = work;
      if (this.asking) return;
      this.asking = true;
      try {
        while (this.next) {
          const now = this.next;
          this.next = null;
          await now();
        }
        this.said.classList.remove("wrong");
      } catch (error) { this.complain(error); } finally { this.asking = false; }
    }
    colour(name) { return getComputedStyle(this).getPropertyValue(name).trim(); }
    // Call again when the size or the theme changes.
    onResize(canvas, draw) {
      this.watch = new ResizeObserver(() => draw());
      this.watch.observe(canvas);
      const theme = new MutationObserver(() => draw());
      theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
    }
    sized(canvas, height) {
      const ratio = devicePixelRatio || 1, width = canvas.clientWidth || 600;
      if (height) canvas.style.height = `${height}px`;
      const tall = height || canvas.clientHeight;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(tall * ratio);
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      return [pen, width, tall];
    }
  }

  customElements.define("studio-signal", class extends Viewer {
    async begin() {
      const h = (this.h = await this.head());
      this.start = 0;
      this.seconds = Math.min(10, h.duration, h.longest);
      this.gain = 1;
      this.lead = h.leads[0];
      this.shown = new Set(h.channels.slice(0, 24).keys());
      this.canvas = make("canvas", { tabIndex: 0, aria: "Traces. Arrow keys scroll and scale." });
      this.canvas.setAttribute("role", "img");
      this.where = make("input", { type: "range", min: 0, max: 1000, value: 0, aria: "Place in the recording" });
      this.where.addEventListener("input", () => this.go((this.where.value / 1000) * (h.duration - this.seconds)));
      const length = make("input", { type: "number", min: 0.1, step: "any", value: this.seconds });
      length.addEventListener("change", () => this.span(Number(length.value) || 10));
      this.length = length;
      const leads = [...h.leads, ...h.channels].map((name) => [name, name]);
      const zoom = (times) => make("button", { textContent: times > 1 ? "Taller" : "Flatter", type: "button", onclick: () => this.scale(times) });
      const turn = (share, text) => make("button", { textContent: text, type: "button", onclick: () => this.go(this.start + share * this.seconds) });
      const bar = make("div", { className: "bar" },
        turn(-1, "◀ Earlier"), turn(1, "Later ▶"), labelled("Seconds shown", length), zoom(1.5), zoom(1 / 1.5),
        labelled("Reference", select(leads, this.lead, (v) => { this.lead = v; this.scaled = 0; this.fetch(); })));
      if (h.events.length) {
        const jump = make("button", { textContent: "Next event", type: "button", onclick: () => this.jump() });
        bar.append(jump);
      }
      this.said.textContent = "";
      this.root.append(bar, this.canvas, this.where, this.said, this.choices(),
        make("div", { className: "hint", textContent: "← → scroll, Shift for a whole page, ↑ ↓ taller or flatter, + − more or fewer seconds, N next event; drag to scroll." }));
      this.canvas.addEventListener("keydown", (e) => this.key(e));
      this.drag();
      this.onResize(this.canvas, () => this.draw());
      this.fetch();
    }
    choices() {
      const list = make("div", { className: "channels" });
      this.h.channels.forEach((name, k) => {
        const tick = make("input", { type: "checkbox", checked: this.shown.has(k) });
        tick.addEventListener("change", () => { tick.checked ? this.shown.add(k) : this.shown.delete(k); this.fetch(); });
        list.append(make("label", { title: this.h.types[k] }, tick, name));
      });
      return make("details", {}, make("summary", { textContent: `Channels (${this.h.channels.length})` }), list);
    }
    key(e) {
      const step = (e.shiftKey ? 1 : 0.1) * this.seconds;
      const known = {
        ArrowRight: () => this.go(this.start + step), ArrowLeft: () => this.go(this.start - step),
        PageDown: () => this.go(this.start + this.seconds), PageUp: () => this.go(this.start - this.seconds),
        Home: () => this.go(0), End: () => this.go(this.h.duration),
        ArrowUp: () => this.scale(1.25), ArrowDown: () => this.scale(0.8),
        "+": () => this.span(this.seconds * 1.5), "-": () => this.span(this.seconds / 1.5), n: () => this.jump(), N: () => this.jump(),
      };
      if (!known[e.key]) return;
      e.preventDefault();
      known[e.key]();
    }
    drag() {
      let from = null;
      this.canvas.addEventListener("pointerdown", (e) => { from = [e.clientX, this.start]; this.canvas.setPointerCapture(e.pointerId); });
      this.canvas.addEventListener("pointermove", (e) => {
        if (from) this.go(from[1] - ((e.clientX - from[0]) / this.canvas.clientWidth) * this.seconds);
      });
      this.canvas.addEventListener("pointerup", () => (from = null));
    }
    jump() {
      const next = this.h.events.find(([onset]) => onset > this.start + this.seconds / 10 + 1e-6);
      this.go(next ? next[0] - this.seconds / 10 : 0);
    }
    scale(times) { this.gain = Math.min(1e4, Math.max(1e-4, this.gain * times)); this.draw(); }
    span(seconds) {
      const middle = this.start + this.seconds / 2;
      this.seconds = Math.min(Math.max(seconds, 8 / this.h.rate), this.h.longest, this.h.duration);
      this.length.value = Math.round(this.seconds * 1000) / 1000;
      this.go(middle - this.seconds / 2);
    }
    go(start) {
      this.start = Math.min(Math.max(0, start), Math.max(0, this.h.duration - this.seconds));
      this.where.value = Math.round((1000 * this.start) / Math.max(1e-9, this.h.duration - this.seconds));
      this.fetch();
    }
    fetch() {
      const picks = [...this.shown].sort((a, b) => a - b);
      if (!picks.length) { this.data = null; return this.draw(); }
      return this.latest(async () => {
        const width = Math.min(2000, Math.max(100, Math.round(this.canvas.clientWidth)));
        const words = { start: this.start, seconds: this.seconds, width, picks: picks.join(","), lead: this.lead };
        const bytes = await (await this.ask(this.address(words))).arrayBuffer();
        const [rows, columns] = new Int32Array(bytes, 0, 2), [start, seconds] = new Float32Array(bytes, 8, 2);
        this.data = { rows, columns, start, seconds, picks, values: new Float32Array(bytes, 16) };
        this.draw();
      });
    }
    // One scale a kind of channel, from the typical height of its traces where it is first seen.
    heights() {
      const { rows, columns, values, picks } = this.data;
      if (this.scaled === rows + this.lead) return this.units;
      const by = {};
      for (let r = 0; r < rows; r++) {
        let low = Infinity, high = -Infinity;
        for (let k = 2 * r * columns; k < 2 * (r + 1) * columns; k++) { low = Math.min(low, values[k]); high = Math.max(high, values[k]); }
        if (high > low) (by[this.h.types[picks[r]]] ||= []).push(high - low);
      }
      this.units = {};
      for (const [type, found] of Object.entries(by)) this.units[type] = found.sort((a, b) => a - b)[Math.floor(found.length / 2)] || 1;
      this.scaled = rows + this.lead;
      return this.units;
    }
    draw() {
      const rows = this.data ? this.data.rows : 1;
      const [pen, width, height] = this.sized(this.canvas, Math.min(900, Math.max(220, 26 * rows + 44)));
      pen.clearRect(0, 0, width, height);
      pen.font = "12px system-ui, sans-serif";
      const left = 74, bottom = height - 22;
      this.grid(pen, left, width, bottom);
      if (!this.data) { pen.fillStyle = this.colour("--muted"); pen.fillText("No channel is chosen.", left + 8, 30); return; }
      const { columns, values, picks } = this.data, units = this.heights(), step = (bottom - 8) / rows;
      for (let r = 0; r < rows; r++) {
        const middle = 8 + step * (r + 0.5), tall = ((step * 0.85) / (units[this.h.types[picks[r]]] || 1)) * this.gain;
        pen.fillStyle = this.colour("--text");
        pen.fillText(this.h.channels[picks[r]].slice(0, 10), 4, middle + 4);
        pen.strokeStyle = this.colour(`--c${(r % 6) + 1}`);
        pen.lineWidth = 1;
        pen.beginPath();
        for (let c = 0; c < columns; c++) {
          const x = left + ((c + 0.5) / columns) * (width - left), at = 2 * (r * columns + c);
          const low = middle - values[at] * tall, high = middle - values[at + 1] * tall;
          c ? pen.lineTo(x, low) : pen.moveTo(x, low);
          if (high !== low) pen.lineTo(x, high);
        }
        pen.stroke();
      }
      this.said.textContent = `${clock(this.data.start)} to ${clock(this.data.start + this.data.seconds)} of ${clock(this.h.duration)}, ${rows} of ${this.h.channels.length} channels, ${short(this.h.rate)} Hz`;
    }
    grid(pen, left, width, bottom) {
      const at = (t) => left + ((t - this.start) / this.seconds) * (width - left);
      const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600].find((s) => this.seconds / s <= 12) || 7200;
      pen.strokeStyle = this.colour("--line");
      pen.fillStyle = this.colour("--muted");
      pen.lineWidth = 1;
      for (let t = Math.ceil(this.start / step) * step; t <= this.start + this.seconds; t += step) {
        pen.beginPath(); pen.moveTo(at(t), 0); pen.lineTo(at(t), bottom); pen.stroke();
        pen.fillText(step < 1 ? t.toFixed(1) : clock(t).slice(0, -3), at(t) + 3, bottom + 15);
      }
      let last = -Infinity;
      for (const [onset, span, label] of this.h.events) {
        if (onset + span < this.start || onset > this.start + this.seconds) continue;
        const x = Math.max(left, at(onset));
        pen.fillStyle = this.colour("--accent");
        pen.globalAlpha = 0.1; pen.fillRect(x, 0, Math.max(2, at(onset + span) - x), bottom); pen.globalAlpha = 1;
        pen.fillRect(x, 0, 1.5, bottom);
        if (x - last > 34) { pen.fillText(label.slice(0, 18), x + 4, 12); last = x; }
      }
    }
  });

  const PLANES = { z: ["x", "y", "from above"], y: ["x", "z", "from the front"], x: ["y", "z", "from the side"] };
  customElements.define("studio-volume", class extends Viewer {
    async begin() {
      const h = (this.h = await this.head());
      this.at = Object.fromEntries(["x", "y", "z"].map((axis, k) => [axis, Math.floor(h.shape[k] / 2)]));
      this.channel = 0;
      this.overlay = this.more.overlay || "";
      this.opacity = 0.5;
      this.asked = {};
      [this.low, this.high] = [h.low[0], h.high[0]];
      const level = (name, text) => {
        const input = make("input", { type: "number", step: "any", value: short(this[name]) });
        input.addEventListener("change", () => { this[name] = Number(input.value); this.all(); });
        this[`${name}Input`] = input;
        return labelled(text, input);
      };
      const bar = make("div", { className: "bar" }, level("low", "Black at"), level("high", "White at"),
        make("button", { textContent: "Fit", type: "button", onclick: () => this.pick(this.channel) }));
      if (h.channels.length > 1) bar.append(labelled("Channel", select(h.channels.map((n, k) => [k, n]), 0, (v) => this.pick(Number(v)))));
      const offers = this.more.overlays || [];
      if (offers.length) {
        bar.append(labelled("Mask on top", select([["", "none"], ...offers.map(([n, p]) => [p, n])], this.overlay, (v) => { this.overlay = v; this.all(); })));
        const clear = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.5 });
        clear.addEventListener("input", () => { this.opacity = clear.value; this.all(); });
        bar.append(labelled("Opacity", clear));
      }
      this.views = {};
      const planes = make("div", { className: "planes" });
      for (const axis of h.flat ? ["z"] : ["z", "y", "x"]) planes.append(this.plane(axis));
      this.said.textContent = "";
      this.root.append(bar, planes, this.said, make("div", { className: "hint", textContent: h.flat ? "Click to read a value." : "Click to read a value and to move the other planes; ↑ ↓ or the wheel turn slices." }));
      this.all();
    }
    size(axis) { return this.h.shape["xyz".indexOf(axis)]; }
    space(axis) { return this.h.spacing["xyz".indexOf(axis)]; }
    plane(axis) {
      const [across, up, from] = PLANES[axis];
      const image = make("img", { alt: `Slice seen ${from}` });
      image.style.aspectRatio = `${this.size(across) * this.space(across)} / ${this.size(up) * this.space(up)}`;
      const cross = make("canvas");
      const holder = make("div", { className: "frame", tabIndex: 0, aria: `Slice seen ${from}` }, image, cross);
      holder.setAttribute("role", "group");
      const where = make("input", { type: "range", min: 0, max: this.size(axis) - 1, value: this.at[axis], aria: `Slice along ${axis}` });
      where.addEventListener("input", () => this.turn(axis, Number(where.value)));
      const caption = make("figcaption");
      holder.addEventListener("click", (e) => {
        const box = image.getBoundingClientRect();
        const put = (name, share) => (this.at[name] = Math.min(this.size(name) - 1, Math.max(0, Math.floor(share * this.size(name)))));
        put(across, (e.clientX - box.left) / box.width);
        put(up, 1 - (e.clientY - box.top) / box.height);
        this.all();
        this.value();
      });
      const wheel = (by) => this.turn(axis, this.at[axis] + by);
      if (!this.h.flat) {
        holder.addEventListener("wheel", (e) => { e.preventDefault(); wheel(e.deltaY > 0 ? -1 : 1); }, { passive: false });
        holder.addEventListener("keydown", (e) => {
          const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[e.key];
          if (by) { e.preventDefault(); wheel(by); }
        });
      }
      this.views[axis] = { image, cross, where, caption };
      return make("figure", {}, holder, ...(this.h.flat ? [] : [where]), caption);
    }
    pick(channel) {
      this.channel = channel;
      [this.low, this.high] = [this.h.low[channel], this.h.high[channel]];
      this.lowInput.value = short(this.low);
      this.highInput.value = short(this.high);
      this.all();
    }
    turn(axis, index) {
      this.at[axis] = Math.min(this.size(axis) - 1, Math.max(0, index));
      this.show(axis);
      for (const other of Object.keys(this.views)) this.marks(other);
    }
    all() { for (const axis of Object.keys(this.views)) this.show(axis); }
    // A plane fetches one picture at a time and then the newest that was wanted.
    async show(axis) {
      const view = this.views[axis];
      view.where.value = this.at[axis];
      view.caption.textContent = this.h.flat ? "" : `${PLANES[axis][2]}, ${axis} ${this.at[axis] + 1} of ${this.size(axis)}`;
      this.marks(axis);
      view.wanted = true;
      if (view.busy) return;
      view.busy = true;
      try {
        while (view.wanted) {
          view.wanted = false;
          const words = { axis, index: this.at[axis], low: this.low, high: this.high, channel: this.channel };
          if (this.overlay) Object.assign(words, { overlay: this.overlay, opacity: this.opacity });
          const blob = await (await this.ask(this.address(words))).blob();
          const old = view.image.src;
          view.image.src = URL.createObjectURL(blob);
          if (old.startsWith("blob:")) URL.revokeObjectURL(old);
          await view.image.decode().catch(() => {});
        }
        if (this.said.classList.contains("wrong")) { this.said.textContent = ""; this.said.classList.remove("wrong"); }
        this.dispatchEvent(new CustomEvent("drawn", { detail: axis }));
      } catch (error) { this.complain(error); } finally { view.busy = false; }
    }
    marks(axis) {
      if (this.h.flat) return;
      const [across, up] = PLANES[axis], { cross } = this.views[axis];
      const [pen, width, height] = this.sized(cross);
      pen.clearRect(0, 0, width, height);
      pen.strokeStyle = "rgba(255, 214, 90, 0.75)";
      const x = ((this.at[across] + 0.5) / this.size(across)) * width, y = (1 - (this.at[up] + 0.5) / this.size(up)) * height;
      pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, height); pen.moveTo(0, y); pen.lineTo(width, y); pen.stroke();
    }
    value() {
      this.latest(async () => {
        const found = await (await this.ask(this.address({ what: "value", channel: this.channel, ...this.at }))).json();
        this.said.textContent = `Value at (${found.at.map((v) => v + 1).join(", ")}): ${short(found.value)}`;
      });
    }
  });

  customElements.define("studio-video", class extends Viewer {
    async begin() {
      const h = (this.h = await this.head());
      this.frame = 0;
      this.tracks = (this.more.tracks || [])[0]?.[1] || "";
      this.points = new Map();
      this.image = make("img", { alt: "Frame" });
      this.image.style.aspectRatio = `${h.width} / ${h.height}`;
      this.over = make("canvas");
      this.holder = make("div", { className: "frame", tabIndex: 0, aria: "Frame. Arrow keys step, space plays." }, this.image, this.over);
      this.holder.setAttribute("role", "group");
      this.holder.style.maxWidth = `${(75 * h.width) / h.height}vh`;
      if (this.more.bare) this.image.style.visibility = "hidden";
      this.where = make("input", { type: "range", min: 0, max: h.frames - 1, value: 0, aria: "Frame" });
      this.where.addEventListener("input", () => this.go(Number(this.where.value)));
      this.button = make("button", { textContent: "Play", type: "button", onclick: () => this.play() });
      const step = (by, text) => make("button", { textContent: text, type: "button", onclick: () => this.go(this.frame + by) });
      const bar = make("div", { className: "bar" }, this.button, step(-1, "◀ Frame"), step(1, "Frame ▶"));
      if (this.more.tracks?.length) bar.append(labelled("Tracks on top", select([["", "none"], ...this.more.tracks.map(([n, p]) => [p, n])], this.tracks, (v) => { this.tracks = v; this.points.clear(); this.go(this.frame); })));
      this.said.textContent = "";
      this.root.append(bar, this.holder, this.where, this.said, make("div", { className: "hint", textContent: "← → step, Shift for ten frames, space plays or pauses, Home and End." }));
      this.holder.addEventListener("keydown", (e) => {
        const by = e.shiftKey ? 10 : 1;
        const known = { ArrowRight: () => this.go(this.frame + by), ArrowLeft: () => this.go(this.frame - by), " ": () => this.play(), Home: () => this.go(0), End: () => this.go(h.frames - 1) };
        if (known[e.key]) { e.preventDefault(); known[e.key](); }
      });
      this.watch = new ResizeObserver(() => this.draw());
      this.watch.observe(this.holder);
      this.go(0);
    }
    stop() { this.playing = false; if (this.button) this.button.textContent = "Play"; }
    async play() {
      if (this.playing) return this.stop();
      this.playing = true;
      this.button.textContent = "Pause";
      let due = performance.now();
      while (this.playing && this.frame < this.h.frames - 1) {
        due += 1000 / (this.h.rate || 25);
        const late = Math.floor((performance.now() - due) / (1000 / (this.h.rate || 25)));
        if (late > 0) due += late * (1000 / (this.h.rate || 25));
        await this.go(this.frame + 1 + Math.max(0, late));
        await new Promise((done) => setTimeout(done, Math.max(0, due - performance.now())));
      }
      this.stop();
    }
    async go(frame) {
      this.frame = Math.min(this.h.frames - 1, Math.max(0, frame));
      this.where.value = this.frame;
      await this.latest(() => this.fetch(this.frame));
    }
    async fetch(frame) {
      if (!this.more.bare) {
        const width = Math.min(1280, Math.round((this.holder.clientWidth || 640) * (devicePixelRatio || 1)));
        const blob = await (await this.ask(this.address({ frame, width }))).blob();
        const old = this.image.src;
        this.image.src = URL.createObjectURL(blob);
        if (old.startsWith("blob:")) URL.revokeObjectURL(old);
        await this.image.decode().catch(() => {});
      }
      if (this.tracks && !this.points.has(frame)) {
        const start = Math.max(0, frame - 20), words = { what: "points", start, count: 200 };
        const address = this.more.bare ? this.address(words) : this.address({ ...words, tracks: this.tracks });
        const found = await (await this.ask(address)).json();
        if (this.points.size > 5000) this.points.clear();
        found.frames.forEach((one, k) => this.points.set(start + k, one));
      }
      this.shown = frame;
      this.draw();
      this.dispatchEvent(new CustomEvent("drawn", { detail: frame }));
    }
    draw() {
      const [pen, width, height] = this.sized(this.over);
      pen.clearRect(0, 0, width, height);
      const animals = this.points.get(this.shown) || [];
      const size = Math.max(2.5, width / 220);
      animals.forEach((animal, k) => animal.forEach((point, j) => {
        if (!point) return;
        pen.fillStyle = `hsl(${(k * 137 + j * (animals.length > 1 ? 0 : 47)) % 360} 90% 62%)`;
        pen.globalAlpha = Math.max(0.25, point[2]);
        pen.beginPath();
        pen.arc(((point[0] + 0.5) / this.h.width) * width, ((point[1] + 0.5) / this.h.height) * height, size, 0, 7);
        pen.fill();
      }));
      pen.globalAlpha = 1;
      this.said.textContent = `Frame ${this.shown + 1} of ${this.h.frames}, ${clock(this.shown / (this.h.rate || 1))}${animals.length ? `, ${animals.length} animal${animals.length > 1 ? "s" : ""}` : ""}`;
    }
  });

  customElements.define("studio-graph", class extends Viewer {
    async begin() {
      const h = (this.h = await this.head());
      const matrix = make("img", { alt: `Matrix of weights, ${h.nodes.length} by ${h.nodes.length}`, src: this.address({ what: "matrix" }) });
      matrix.style.width = "100%";
      const planes = make("div", { className: "planes" }, make("figure", {}, matrix, make("figcaption", { textContent: "Rows are sources, columns targets; dark is strong." })));
      this.root.append(planes);
      this.said.textContent = `${h.nodes.length} nodes, ${h.links} links${h.directed ? " with a direction" : ""}, weights ${short(h.low)} to ${short(h.high)}`;
      if (!h.drawn) return;
      this.d = await (await this.ask(this.address({ what: "drawing" }))).json();
      this.canvas = make("canvas", { aria: "Drawing of nodes and links" });
      this.canvas.setAttribute("role", "img");
      planes.append(make("figure", {}, this.canvas, make("figcaption", { textContent: "Nodes that are linked stand near each other." })));
      this.onResize(this.canvas, () => this.draw());
      this.draw();
    }
    draw() {
      const [pen, width, height] = this.sized(this.canvas, this.canvas.clientWidth * 0.85);
      const at = ([x, y]) => [14 + x * (width - 28), 14 + y * (height - 28)];
      const top = Math.max(...this.d.links.map(([, , w]) => Math.abs(w)), 1e-12);
      pen.clearRect(0, 0, width, height);
      pen.strokeStyle = this.colour("--edge");
      for (const [i, j, w] of this.d.links) {
        pen.globalAlpha = 0.1 + 0.7 * (Math.abs(w) / top);
        pen.beginPath(); pen.moveTo(...at(this.d.places[i])); pen.lineTo(...at(this.d.places[j])); pen.stroke();
      }
      pen.globalAlpha = 1;
      pen.font = "11px system-ui, sans-serif";
      this.d.places.forEach((place, k) => {
        const [x, y] = at(place);
        pen.fillStyle = this.colour("--accent");
        pen.beginPath(); pen.arc(x, y, 4, 0, 7); pen.fill();
        if (this.h.nodes.length <= 60) { pen.fillStyle = this.colour("--text"); pen.fillText(this.h.nodes[k].slice(0, 14), x + 6, y + 4); }
      });
    }
  });
})();
