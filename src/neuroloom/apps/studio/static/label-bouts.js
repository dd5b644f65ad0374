// Events and bouts on videos and signals: a key begins a behaviour, the same key ends it.
(() => {
  if (customElements.get("studio-label-bouts")) return;
  const HINT = [["letter", "begin, end a behaviour (point: mark)"], ["Space", "play, pause"], ["← →", "a frame (Shift: 1 s, Ctrl: 10 s)"], ["Home End", "begin, end"], [", .", "bout before, after"],
    ["[ ]", "set start, stop of the chosen bout to here"], ["Del", "remove it"], ["Esc", "choose none"], ["+ −", "zoom the timeline"], ["drag an end", "edit"], ["Ctrl Z / Y", "undo, redo"]];
  const LANE = 26, RULER = 22, LEFT = 96;

  class Bouts extends window.studioBench {
    build() {
      const h = this.head;
      this.now = 0; this.chosen = null; this.span = [0, h.duration]; this.begun = {}; this.speed = 1; this.subject = h.subjects[0] || "";
      this.step = h.medium === "video" ? 1 / h.rate : Math.max(1 / h.rate, 0.01);
      this.screen = this.make("canvas", { aria: { role: "img", label: `${h.medium} at the time chosen` } });
      this.canvas = this.make("canvas", { tabIndex: 0, aria: { role: "application", label: "Timeline; keys are listed below" } });
      this.where = this.make("strong", {});
      this.slider = this.make("input", { type: "range", min: 0, max: h.duration, step: this.step, value: 0, aria: { label: "Time" }, on: { input: () => this.goTo(+this.slider.value) } });
      this.play = this.button("Play", () => this.toggle());
      const speed = this.select([[0.25, "¼"], [0.5, "½"], [1, "1"], [2, "2"], [4, "4"]], 1, (v) => { this.speed = +v; });
      this.people = this.make("select", { on: { change: () => { this.subject = this.people.value; } } });
      this.seconds = this.make("input", { type: "number", value: 10, min: 0.5, max: 120, step: "any", on: { change: () => this.showSignal() } });
      const tools = this.make("div", { className: "tools" }, this.play, this.button("‹", () => this.goTo(this.now - this.step), { aria: { label: "One step back" } }), this.slider, this.button("›", () => this.goTo(this.now + this.step), { aria: { label: "One step on" } }),
        this.labelled("Speed", speed), ...(h.subjects.length ? [this.labelled("Subject", this.people)] : []), ...(h.medium === "signal" ? [this.labelled("Seconds shown", this.seconds)] : []), ...this.common());
      this.people.append(...[...h.subjects, ""].map((name) => this.make("option", { value: name, textContent: name || "nobody" })));
      this.list = this.make("ul", { className: "choices", aria: { label: "Behaviours" } });
      const fresh = this.make("input", { type: "text", placeholder: "new behaviour", aria: { label: "Name of a new behaviour" } }), kind = this.select([["state", "state"], ["point", "point"]], "state", () => {});
      kind.setAttribute("aria-label", "Kind of the new behaviour");
      const add = async () => { if (fresh.value.trim()) { await this.send([{ op: "behaviour", name: fresh.value.trim(), kind: kind.value }]); fresh.value = ""; await this.refresh(); } };
      this.detail = this.make("div", { className: "panel" });
      const links = h.formats.map(([format, shown]) => this.make("a", { href: this.address("/export", { format }), textContent: shown, download: "" }));
      this.root.append(this.make("div", { className: "said" }, this.where), tools, this.make("div", { className: "side" }, this.make("div", { className: "panel" }, this.screen, this.canvas, this.said,
        this.make("div", { className: "hint" }, ...HINT.flatMap(([key, what]) => [this.make("kbd", { textContent: key }), ` ${what}  `]))),
        this.make("div", { className: "panel" }, this.list, this.make("div", { className: "tools" }, fresh, kind, this.button("Add", add)), this.detail,
          this.make("details", { open: true }, this.make("summary", { textContent: "Download" }), this.make("div", { className: "tools" }, ...links)), this.logPanel())));
      this.listen();
      this.redrawWith(this.canvas, () => { this.draw(); this.showMedium(); });
      this.tell(`${h.done} bouts.`); this.showList(); this.showDetail(); this.goTo(0);
      this.stop = () => cancelAnimationFrame(this.ticking);
    }
    refreshed() { this.showList(); this.showDetail(); this.draw(); }
    round(t) { return Math.round(t * 1e6) / 1e6; }
    // Times of a video are those of its frames.
    snap(t) { const held = Math.min(this.head.duration, Math.max(0, t)); return this.round(this.head.medium === "video" ? Math.round(held * this.head.rate) / this.head.rate : held); }
    clock(t) { const m = Math.floor(t / 60); return `${m}:${(t - 60 * m).toFixed(3).padStart(6, "0")}`; }
    goTo(t) {
      this.now = this.snap(t); this.slider.value = this.now;
      const frame = this.head.medium === "video" ? ` · frame ${Math.min(this.head.frames - 1, Math.round(this.now * this.head.rate))}` : "";
      const going = Object.keys(this.begun).map((key) => JSON.parse(key)[0]);
      this.where.textContent = `${this.clock(this.now)} of ${this.clock(this.head.duration)}${frame}${going.length ? ` · going on: ${going.join(", ")}` : ""}`;
      const [a, b] = this.span;
      if (this.now < a || this.now > b) this.view(this.now - (b - a) / 2, b - a); else this.draw();
      this.showMedium();
    }
    view(start, width) { const w = Math.min(this.head.duration, Math.max(20 * this.step, width)), a = Math.min(this.head.duration - w, Math.max(0, start)); this.span = [a, a + w]; this.draw(); }
    toggle() {
      if (this.playing) { this.playing = false; this.play.textContent = "Play"; cancelAnimationFrame(this.ticking); return; }
      if (this.now >= this.head.duration) this.goTo(0);
      this.playing = true; this.play.textContent = "Pause";
      const from = this.now, start = performance.now();
      const tick = () => {
        if (!this.playing) return;
        this.goTo(Math.min(this.head.duration, from + this.speed * (performance.now() - start) / 1000));
        if (this.now >= this.head.duration) return this.toggle();
        this.ticking = requestAnimationFrame(tick);
      };
      this.ticking = requestAnimationFrame(tick);
    }
    // One picture at a time is asked for; while it comes, only the last wish is kept.
    async showMedium() {
      if (this.head.medium === "signal") return this.showSignal();
      const frame = Math.min(this.head.frames - 1, Math.floor(this.now * this.head.rate + 1e-6));
      if (frame === this.frame && this.image?.complete) return this.drawFrame();
      this.wanted = frame;
      if (this.asking) return;
      this.asking = true;
      while (this.wanted !== null) {
        const asked = this.wanted; this.wanted = null;
        const image = new Image();
        image.src = `/api/view/video/window?${new URLSearchParams({ path: this.head.data, frame: asked, width: 960 })}`;
        try { await image.decode(); this.image = image; this.frame = asked; this.drawFrame(); } catch { this.complain(new Error(`Frame ${asked} cannot be read.`)); }
      }
      this.asking = false;
    }
    drawFrame() {
      const { width: w, height: h } = this.head, width = this.screen.clientWidth || 600, height = Math.min(Math.round(width * h / w), Math.max(200, Math.round(innerHeight * 0.45)));
      const [pen] = this.fit(this.screen, height), s = Math.min(width / w, height / h);
      pen.fillStyle = "#000"; pen.fillRect(0, 0, width, height);
      if (this.image) pen.drawImage(this.image, (width - w * s) / 2, (height - h * s) / 2, w * s, h * s);
    }
    async showSignal() {
      const seconds = Math.min(this.head.duration, Math.max(0.5, +this.seconds.value || 10)), start = Math.max(0, Math.min(this.head.duration - seconds, this.now - seconds / 2));
      this.wished = { start, seconds };
      if (this.asking) return;
      this.asking = true;
      while (this.wished) {
        const asked = this.wished; this.wished = null;
        try {
          const answer = await this.ask(`/api/view/signal/window?${new URLSearchParams({ path: this.head.data, ...asked, width: 900 })}`), bytes = await answer.arrayBuffer();
          const [rows, columns] = new Int32Array(bytes, 0, 2), [from, long] = new Float32Array(bytes, 8, 2);
          this.traces = { rows, columns, from, long, values: new Float32Array(bytes, 16) };
        } catch (error) { this.complain(error); }
        this.drawSignal();
      }
      this.asking = false;
    }
    drawSignal() {
      const t = this.traces, height = Math.max(180, Math.round(innerHeight * 0.38)), [pen, width] = this.fit(this.screen, height);
      pen.fillStyle = this.theme("--surface"); pen.fillRect(0, 0, width, height);
      if (!t) return;
      const shown = Math.min(t.rows, 12), lane = height / shown, sizes = [];
      for (let k = 0; k < t.values.length; k += 7) sizes.push(Math.abs(t.values[k]) || 0);
      const size = sizes.sort((a, b) => a - b)[Math.floor(0.98 * (sizes.length - 1))] || 1;
      pen.strokeStyle = this.theme("--accent"); pen.lineWidth = 1;
      for (let r = 0; r < shown; r++) {
        pen.beginPath();
        for (let c = 0; c < t.columns; c++) { const x = c / t.columns * width, k = 2 * (r * t.columns + c), y = (v) => lane * (r + 0.5) - v / size * lane * 0.48; c ? pen.lineTo(x, y(t.values[k])) : pen.moveTo(x, y(t.values[k])); if (t.values[k + 1] !== t.values[k]) pen.lineTo(x, y(t.values[k + 1])); }
        pen.stroke();
      }
      const x = (this.now - t.from) / t.long * width;
      pen.strokeStyle = this.theme("--text"); pen.lineWidth = 2; pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, height); pen.stroke();
    }
    // Timeline
    x(t, width) { return LEFT + (t - this.span[0]) / (this.span[1] - this.span[0]) * (width - LEFT - 8); }
    t(x, width) { return this.span[0] + (x - LEFT) / (width - LEFT - 8) * (this.span[1] - this.span[0]); }
    draw() {
      const { behaviours, bouts } = this.head, height = RULER + LANE * behaviours.length + 6, [pen, width] = this.fit(this.canvas, height), [a, b] = this.span;
      const text = this.theme("--text"), muted = this.theme("--muted");
      pen.fillStyle = this.theme("--surface"); pen.fillRect(0, 0, width, height); pen.font = "12px system-ui";
      const raw = (b - a) / Math.max(2, width / 110), ten = 10 ** Math.floor(Math.log10(raw)), gap = [1, 2, 5, 10].map((k) => k * ten).find((k) => k >= raw);
      pen.strokeStyle = this.theme("--line"); pen.fillStyle = muted;
      for (let t = Math.ceil(a / gap) * gap; t <= b + 1e-9; t += gap) { const x = this.x(t, width); pen.beginPath(); pen.moveTo(x, RULER - 4); pen.lineTo(x, height); pen.stroke(); if (x < width - 44) pen.fillText(gap < 1 ? this.clock(t) : this.clock(t).slice(0, -4), x + 2, 13); }
      behaviours.forEach((one, k) => { pen.fillStyle = text; pen.fillText(one.name.length > 12 ? `${one.name.slice(0, 11)}…` : one.name, 6, RULER + LANE * k + 17); });
      pen.save(); pen.beginPath(); pen.rect(LEFT, 0, width - LEFT, height); pen.clip();
      for (const bout of bouts) this.drawBout(pen, width, bout, false);
      for (const [key, start] of Object.entries(this.begun)) { const [behaviour, subject] = JSON.parse(key); this.drawBout(pen, width, { behaviour, subject, start, stop: Math.max(start, this.now) }, true); }
      pen.restore();
      const x = this.x(this.now, width); pen.strokeStyle = text; pen.lineWidth = 2; pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, height); pen.stroke();
    }
    drawBout(pen, width, bout, open) {
      const k = this.head.behaviours.findIndex((one) => one.name === bout.behaviour), y = RULER + LANE * k + 3, x1 = this.x(bout.start, width), x2 = this.x(bout.stop, width), who = this.head.subjects.indexOf(bout.subject);
      pen.fillStyle = this.colour(k); pen.globalAlpha = open ? 0.5 : 1;
      // Several subjects share a lane: each has its part of the height.
      const parts = this.head.subjects.length ? this.head.subjects.length + 1 : 1, h = (LANE - 6) / parts, top = y + (who < 0 ? parts - 1 : who) * h;
      if (bout.start === bout.stop && !open) { pen.beginPath(); pen.moveTo(x1, top); pen.lineTo(x1 + 5, top + h / 2); pen.lineTo(x1, top + h); pen.lineTo(x1 - 5, top + h / 2); pen.fill(); } else pen.fillRect(x1, top, Math.max(2, x2 - x1), h - 1);
      if (bout.id && bout.id === this.chosen) { pen.strokeStyle = this.theme("--text"); pen.lineWidth = 2.5; pen.strokeRect(x1 - 1, top, Math.max(4, x2 - x1 + 2), h - 1); }
      pen.globalAlpha = 1;
    }
    showList() {
      this.list.replaceChildren(...this.head.behaviours.map((one, k) => {
        const dot = this.make("span", { className: "dot full" }), count = this.head.bouts.filter((bout) => bout.behaviour === one.name).length;
        dot.style.setProperty("--c", this.colour(k));
        return this.make("li", {}, this.make("button", { type: "button", aria: { pressed: this.key_(one.name) in this.begun }, on: { click: () => { this.press(one); this.canvas.focus(); } } }, dot, one.name, this.make("span", { className: "more", textContent: `${one.key ? `${one.key} · ` : ""}${one.kind} · ${count}` })));
      }));
    }
    showDetail() {
      const bout = this.head.bouts.find((one) => one.id === this.chosen);
      if (!bout) return this.detail.replaceChildren(this.make("div", { className: "hint", textContent: "Choose a bout in the timeline (or , and .) to edit its ends." }));
      const field = (name, value, kind) => this.make("input", { type: kind, value, step: "any", on: { change: (event) => this.edit(bout, { [name]: kind === "number" ? this.round(+event.target.value) : event.target.value }) } });
      this.detail.replaceChildren(this.make("strong", { textContent: `${bout.behaviour}${bout.subject ? ` of ${bout.subject}` : ""}` }), this.make("div", { className: "tools" }, this.labelled("start, s", field("start", bout.start, "number")), this.labelled("stop, s", field("stop", bout.stop, "number")), this.labelled("comment", field("comment", bout.comment, "text")), this.button("Remove", () => this.remove(bout))));
    }
    // Changes
    key_(behaviour) { return JSON.stringify([behaviour, this.subject]); }
    press(one) {
      const key = this.key_(one.name), bout = { behaviour: one.name, subject: this.subject, comment: "" };
      if (one.kind === "point") return this.put({ ...bout, id: crypto.randomUUID?.() || this.random(), start: this.now, stop: this.now });
      if (!(key in this.begun)) { this.begun[key] = this.now; this.showList(); return this.goTo(this.now); }
      const [start, stop] = [this.begun[key], this.now].sort((p, q) => p - q);
      delete this.begun[key];
      if (start === stop) this.tell("A state needs some length; nothing was kept."); else this.put({ ...bout, id: crypto.randomUUID?.() || this.random(), start, stop });
      this.showList(); this.goTo(this.now);
    }
    // Away from localhost browsers give no randomUUID without HTTPS.
    random() { return [...crypto.getRandomValues(new Uint8Array(16))].map((v) => v.toString(16).padStart(2, "0")).join(""); }
    put(bout) { this.chosen = bout.id; this.change([{ op: "put", ...bout }], [{ op: "remove", id: bout.id }]); }
    edit(bout, changed) { const next = { ...bout, ...changed }; if (next.stop < next.start) { this.showDetail(); return this.tell("A bout cannot stop before it starts."); } this.change([{ op: "put", ...next }], [{ op: "put", ...bout }]); }
    remove(bout) { this.chosen = null; this.change([{ op: "remove", id: bout.id }], [{ op: "put", ...bout }]); }
    perform(edits) {
      for (const { op, ...bout } of edits) {
        this.head.bouts = this.head.bouts.filter((one) => one.id !== bout.id);
        if (op === "put") { this.head.bouts.push(bout); this.chosen = bout.id; }
      }
      this.head.bouts.sort((p, q) => p.start - q.start || p.stop - q.stop);
      this.refreshed(); this.send(edits);
    }
    near(event) {
      const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top, width = box.width, k = Math.floor((y - RULER) / LANE), name = this.head.behaviours[k]?.name;
      const parts = this.head.subjects.length ? this.head.subjects.length + 1 : 1, part = Math.floor((y - RULER - LANE * k - 3) / ((LANE - 6) / parts));
      const lane = this.head.bouts.filter((one) => { const who = this.head.subjects.indexOf(one.subject); return one.behaviour === name && (parts === 1 || (who < 0 ? parts - 1 : who) === part); });
      for (const bout of lane) for (const end of ["start", "stop"]) if (bout.id === this.chosen && Math.abs(this.x(bout[end], width) - x) < 6) return { bout, end };
      const bout = lane.find((one) => x >= this.x(one.start, width) - 4 && x <= this.x(one.stop, width) + 4);
      return { bout, time: this.t(x, width) };
    }
    listen() {
      const c = this.canvas;
      let held = null;
      c.addEventListener("pointerdown", (event) => {
        c.focus(); c.setPointerCapture(event.pointerId);
        const found = this.near(event);
        if (found.end) { held = { ...found, before: { ...found.bout } }; return; }
        if (found.bout) { this.chosen = found.bout.id; this.goTo(found.bout.start); this.showDetail(); } else { held = { seek: true }; this.goTo(found.time); }
      });
      c.addEventListener("pointermove", (event) => {
        if (!held) return;
        const box = c.getBoundingClientRect(), time = this.snap(this.t(event.clientX - box.left, box.width));
        if (held.seek) return this.goTo(time);
        const other = held.bout[held.end === "start" ? "stop" : "start"];
        if (held.end === "start" ? time < other : time > other) { held.bout[held.end] = time; this.goTo(time); }
      });
      const drop = () => { if (held?.end) { const next = { ...held.bout }; Object.assign(held.bout, held.before); if (next[held.end] !== held.before[held.end]) this.edit(held.before, { [held.end]: next[held.end] }); } held = null; };
      c.addEventListener("pointerup", drop); c.addEventListener("pointercancel", drop);
      c.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 0.8 : 1.25); }, { passive: false });
      c.addEventListener("keydown", (event) => this.key(event));
    }
    zoom(by) { const [a, b] = this.span, w = (b - a) * by, share = (this.now - a) / (b - a); this.view(this.now - w * Math.min(1, Math.max(0, share)), w); }
    beside(by) { const { bouts } = this.head, at = bouts.findIndex((one) => one.id === this.chosen), next = bouts[at < 0 ? (by > 0 ? bouts.findIndex((one) => one.start >= this.now) : bouts.length - 1) : at + by]; if (next) { this.chosen = next.id; this.goTo(next.start); this.showDetail(); } }
    key(event) {
      if (this.undoKeys(event)) return;
      const far = event.shiftKey ? 1 : event.ctrlKey ? 10 : this.step, chosen = this.head.bouts.find((one) => one.id === this.chosen);
      const plain = { " ": () => this.toggle(), ArrowRight: () => this.goTo(this.now + far), ArrowLeft: () => this.goTo(this.now - far), Home: () => this.goTo(0), End: () => this.goTo(this.head.duration), ",": () => this.beside(-1), ".": () => this.beside(1),
        "[": () => chosen && this.edit(chosen, { start: this.now }), "]": () => chosen && this.edit(chosen, { stop: this.now }), Delete: () => chosen && this.remove(chosen), Backspace: () => chosen && this.remove(chosen),
        Escape: () => { this.chosen = null; this.begun = {}; this.refreshed(); this.goTo(this.now); }, "+": () => this.zoom(0.7), "-": () => this.zoom(1.4) };
      const one = this.head.behaviours.find((b) => b.key && b.key === event.key);
      if (plain[event.key]) plain[event.key]();
      else if (one && !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat) this.press(one);
      else return;
      event.preventDefault();
    }
  }
  customElements.define("studio-label-bouts", Bouts);
})();
