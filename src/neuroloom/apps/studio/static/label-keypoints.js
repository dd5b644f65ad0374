// Keypoints on frames, made for the keyboard: the mouse places, keys do all the rest.
(() => {
  if (customElements.get("studio-label-keypoints")) return;
  const HINT = [["click", "place"], ["drag", "move"], ["n / p", "next, previous point"], ["→ ← or d / a", "next, previous frame"],
    ["Shift arrows", "nudge by 1 px (Alt: 0.2)"], ["Del", "take away"], ["c", "copy from frame before"], ["x", "swap left and right"],
    ["i", "next animal"], ["Shift x", "swap two animals"], ["u", "next unlabelled frame"], ["m", "take what the model found"], ["wheel, + −", "zoom"], ["Space drag", "pan"], ["0", "whole frame"], ["Ctrl Z / Y", "undo, redo"]];

  class Keypoints extends window.studioBench {
    async load() {
      await super.load();
      this.points = this.head.points;
      this.order ??= this.head.frames.map((_, k) => k);
      if (this.order.length !== this.head.frames.length) this.order = this.head.frames.map((_, k) => k);
    }
    refreshed() { this.show(); }
    build() {
      this.row = this.order[0] ?? 0; this.point = 0; this.animal = 0; this.view = null; this.pictures = new Map();
      const next = this.head.points.findIndex((frame) => frame.every((animal) => animal.every((p) => !p)));
      if (next > 0) this.row = next;
      this.canvas = this.make("canvas", { tabIndex: 0, aria: { role: "application", label: "Frame; keys are listed below" } });
      this.where = this.make("strong", {});
      this.slider = this.make("input", { type: "range", min: 0, max: this.order.length - 1, value: 0, aria: { label: "Frame" }, on: { input: () => this.goTo(+this.slider.value) } });
      this.sorting = this.select([["order", "as they come"], ["doubt", "doubtful first"], ["empty", "unlabelled first"]], "order", () => this.sort());
      this.list = this.make("ul", { className: "choices", aria: { label: "Keypoints" } });
      this.animals = this.head.individuals.length > 1 ? this.select(this.head.individuals.map((n, k) => [k, n]), 0, (v) => { this.animal = +v; this.show(); }) : null;
      const tools = this.make("div", { className: "tools" },
        this.button("‹", () => this.step(-1), { aria: { label: "Previous frame" } }), this.slider,
        this.button("›", () => this.step(1), { aria: { label: "Next frame" } }),
        this.labelled("Order", this.sorting), ...(this.animals ? [this.labelled("Animal", this.animals)] : []),
        this.button("Copy from before", () => this.copy()), this.button("Swap left and right", () => this.swapSides()),
        ...(this.animals ? [this.button("Swap two animals", () => this.swapAnimals())] : []), ...this.common());
      this.root.append(this.make("div", { className: "said" }, this.where), tools,
        this.make("div", { className: "side" }, this.make("div", { className: "panel" }, this.canvas, this.said,
          this.make("div", { className: "hint" }, ...HINT.flatMap(([key, what]) => [this.make("kbd", { textContent: key }), ` ${what}  `]))),
          this.make("div", { className: "panel" }, this.list, this.loop(), this.adder(), this.exporter(), this.logPanel())));
      this.listen();
      this.redrawWith(this.canvas, () => this.draw());
      this.tell(this.head.notes[0] || `${this.head.done} of ${this.head.total} frames have points.`);
      this.show(); this.poll();
    }
    // Frames
    get at() { return Math.max(0, this.order.indexOf(this.row)); }
    step(by) { this.goTo(this.at + by); }
    goTo(at) { this.row = this.order[Math.min(this.order.length - 1, Math.max(0, at))]; this.point = this.firstFree(); this.show(); }
    firstFree() { const k = this.points[this.row][this.animal].findIndex((p) => !p); return k < 0 ? 0 : k; }
    sort() {
      const natural = this.head.frames.map((_, k) => k);
      const empty = (k) => this.points[k].every((animal) => animal.every((p) => !p));
      if (this.sorting.value === "doubt" && !this.found) { this.sorting.value = "order"; return this.tell("No model has looked at these frames yet; choose one under Model."); }
      this.order = this.sorting.value === "doubt" ? this.found.order : this.sorting.value === "empty" ? [...natural.filter(empty), ...natural.filter((k) => !empty(k))] : natural;
      this.goTo(0);
    }
    picture(row) {
      if (!this.pictures.has(row)) {
        const image = new Image();
        image.src = this.address("/part/frame", { row });
        image.onload = () => { if (row === this.row) this.draw(); };
        image.onerror = () => { if (row === this.row) this.complain(new Error("The picture of this frame cannot be read.")); };
        this.pictures.set(row, image);
        if (this.pictures.size > 24) this.pictures.delete(this.pictures.keys().next().value);
      }
      return this.pictures.get(row);
    }
    show() {
      const frame = this.head.frames[this.row];
      this.where.textContent = `${frame.video || ""} frame ${frame.frame} (${this.at + 1} of ${this.order.length})` + (this.found ? ` · ${this.found.why[this.row]}, doubt ${Math.round(100 * this.found.doubt[this.row])} %` : "");
      this.slider.value = this.at;
      if (this.animals) this.animals.value = this.animal;
      this.list.replaceChildren(...this.head.keypoints.map((name, k) => this.make("li", {}, this.choice(name, k))));
      this.draw();
      for (const by of [1, -1]) { const row = this.order[this.at + by]; if (row !== undefined) this.picture(row); }
    }
    choice(name, k) {
      const set = this.points[this.row][this.animal][k], dot = this.make("span", { className: set ? "dot full" : "dot" });
      dot.style.setProperty("--c", this.colour(k));
      const sure = this.found?.points[this.row][this.animal]?.[k]?.[2];
      const more = this.make("span", { className: "more", textContent: sure === undefined || sure === null ? (set ? "" : "–") : `net ${Math.round(100 * sure)} %` });
      return this.make("button", { type: "button", aria: { pressed: k === this.point }, on: { click: () => { this.point = k; this.show(); this.canvas.focus(); } } }, dot, name, more);
    }
    // Places on the screen
    scale() {
      const image = this.picture(this.row), w = image.naturalWidth || 640, h = image.naturalHeight || 480;
      const width = this.canvas.clientWidth || 600, height = Math.min(Math.round(width * h / w), Math.max(260, innerHeight * 0.64));
      const whole = Math.min(width / w, height / h);
      const zoom = this.view?.zoom || 1, s = whole * zoom;
      const [cx, cy] = this.view ? [this.view.x, this.view.y] : [w / 2, h / 2];
      return { s, x0: width / 2 - cx * s, y0: height / 2 - cy * s, width, height, w, h };
    }
    // The centre of the top-left pixel is (0, 0).
    toScreen([x, y], v) { return [v.x0 + (x + 0.5) * v.s, v.y0 + (y + 0.5) * v.s]; }
    toFrame(event) {
      const v = this.scale(), box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left - v.x0) / v.s - 0.5, (event.clientY - box.top - v.y0) / v.s - 0.5];
    }
    draw() {
      const v = this.scale(), [pen] = this.fit(this.canvas, v.height), image = this.picture(this.row);
      pen.fillStyle = "#000"; pen.fillRect(0, 0, v.width, v.height);
      pen.imageSmoothingEnabled = v.s < 2;
      if (image.complete && image.naturalWidth) pen.drawImage(image, v.x0, v.y0, v.w * v.s, v.h * v.s);
      const found = this.found?.points[this.row];
      if (found) found.forEach((animal) => this.drawAnimal(pen, v, animal, true, false));
      this.points[this.row].forEach((animal, k) => this.drawAnimal(pen, v, animal, false, k === this.animal));
    }
    drawAnimal(pen, v, animal, ghost, chosen) {
      pen.globalAlpha = ghost ? 0.55 : chosen ? 1 : 0.6;
      pen.setLineDash(ghost ? [4, 4] : []);
      for (const [a, b] of this.head.edges) {
        if (!animal[a] || !animal[b]) continue;
        pen.strokeStyle = "#ffffff"; pen.lineWidth = 1.5;
        pen.beginPath(); pen.moveTo(...this.toScreen(animal[a], v)); pen.lineTo(...this.toScreen(animal[b], v)); pen.stroke();
      }
      pen.setLineDash([]);
      animal.forEach((place, k) => {
        if (!place) return;
        const [x, y] = this.toScreen(place, v), here = chosen && k === this.point;
        pen.beginPath(); pen.arc(x, y, ghost ? 4 : here ? 7 : 5, 0, 7);
        pen.lineWidth = here ? 3 : 2; pen.strokeStyle = ghost ? this.colour(k) : "#000"; pen.fillStyle = this.colour(k);
        if (!ghost) pen.fill();
        pen.stroke();
        if (here) { pen.strokeStyle = "#fff"; pen.lineWidth = 1.5; pen.beginPath(); pen.arc(x, y, 9, 0, 7); pen.stroke(); }
      });
      pen.globalAlpha = 1;
    }
    // Changes
    set(places, origin = "hand") {
      const forth = [], back = [];
      for (const [frame, individual, point, to] of places) {
        const from = this.points[frame][individual][point];
        if (JSON.stringify(from) === JSON.stringify(to)) continue;
        forth.push({ frame, individual, point, to, origin }); back.push({ frame, individual, point, to: from, origin: "undo" });
      }
      if (forth.length) this.change(forth, back.reverse());
    }
    perform(edits) {
      for (const { frame, individual, point, to } of edits) this.points[frame][individual][point] = to;
      if (edits.length) this.row = edits[0].frame;
      this.show();
      this.send(edits);
    }
    here(to, origin) { this.set([[this.row, this.animal, this.point, to]], origin); }
    take(row, individual, source, origin) { this.set(source.flatMap((to, k) => (to ? [[row, individual, k, to.slice(0, 2)]] : [])), origin); }
    copy() {
      const before = this.row - 1;
      if (before < 0) return this.tell("There is no frame before.");
      this.take(this.row, this.animal, this.points[before][this.animal].map((to, k) => (this.points[this.row][this.animal][k] ? null : to)), "copy");
    }
    accept() {
      const found = this.found?.points[this.row];
      if (!found) return this.tell("No model has looked at this frame.");
      this.set(found.flatMap((animal, i) => animal.flatMap((to, k) => (to && (to[2] ?? 0) >= 0.05 && !this.points[this.row][i][k] ? [[this.row, i, k, to.slice(0, 2)]] : []))), "model");
    }
    swapSides() {
      const own = this.points[this.row][this.animal];
      if (!this.head.swaps.length) return this.tell("No two points are named left and right of each other.");
      this.set(this.head.swaps.flatMap(([a, b]) => [[this.row, this.animal, a, own[b]], [this.row, this.animal, b, own[a]]]), "swap");
    }
    swapAnimals() {
      const other = (this.animal + 1) % this.head.individuals.length, frame = this.points[this.row];
      if (other === this.animal) return;
      this.set(frame[this.animal].flatMap((mine, k) => [[this.row, this.animal, k, frame[other][k]], [this.row, other, k, mine]]), "swap");
    }
    nudge(dx, dy) {
      const own = this.points[this.row][this.animal][this.point];
      if (own) this.here([own[0] + dx, own[1] + dy].map((v) => Math.round(v * 1000) / 1000));
    }
    zoom(by, about) {
      const v = this.scale(), centre = this.view || { x: v.w / 2, y: v.h / 2, zoom: 1 };
      const zoom = Math.min(40, Math.max(1, centre.zoom * by)), [ax, ay] = about || [centre.x, centre.y], share = 1 - centre.zoom / zoom;
      this.view = zoom <= 1.001 ? null : { zoom, x: centre.x + (ax - centre.x) * share, y: centre.y + (ay - centre.y) * share };
      this.draw();
    }
    nearest(place) {
      const reach = 9 / this.scale().s;
      let best = null, least = reach;
      this.points[this.row].forEach((animal, i) => animal.forEach((p, k) => {
        const d = p ? Math.hypot(p[0] - place[0], p[1] - place[1]) : Infinity;
        if (d < least) [least, best] = [d, [i, k]];
      }));
      return best;
    }
    listen() {
      const c = this.canvas;
      let held = null, space = false, start = null;
      c.addEventListener("pointerdown", (event) => {
        c.focus(); c.setPointerCapture(event.pointerId);
        if (space || event.button === 1) { const v = this.scale(); held = "pan"; start = [event.clientX, event.clientY, this.view || { x: v.w / 2, y: v.h / 2, zoom: 1 }]; return; }
        if (event.button) return;
        const place = this.toFrame(event), near = this.nearest(place);
        if (near) { [this.animal, this.point] = near; held = "move"; start = this.points[this.row][near[0]][near[1]]; this.show(); return; }
        const v = this.scale();
        if (place[0] < -0.5 || place[1] < -0.5 || place[0] > v.w - 0.5 || place[1] > v.h - 0.5) return;
        this.here(place.map((x) => Math.round(x * 100) / 100));
        if (!this.points[this.row][this.animal].every(Boolean)) this.point = this.firstFree();
        this.show();
      });
      c.addEventListener("pointermove", (event) => {
        if (held === "pan") { const s = this.scale().s; this.view = { ...start[2], x: start[2].x - (event.clientX - start[0]) / s, y: start[2].y - (event.clientY - start[1]) / s }; this.draw(); }
        if (held === "move") { this.points[this.row][this.animal][this.point] = this.toFrame(event).map((x) => Math.round(x * 100) / 100); this.moved = true; this.draw(); }
      });
      const drop = () => {
        if (held === "move" && this.moved) { const to = this.points[this.row][this.animal][this.point]; this.points[this.row][this.animal][this.point] = start; this.here(to); }
        held = null; this.moved = false;
      };
      c.addEventListener("pointerup", drop); c.addEventListener("pointercancel", drop);
      c.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.toFrame(event)); }, { passive: false });
      c.addEventListener("keyup", (event) => { if (event.key === " ") space = false; });
      c.addEventListener("keydown", (event) => { if (event.key === " ") { space = true; event.preventDefault(); } else this.key(event); });
    }
    key(event) {
      if (this.undoKeys(event) || event.ctrlKey || event.metaKey) return;
      const arrows = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key], size = event.altKey ? 0.2 : 1;
      const count = this.head.keypoints.length, turn = (by) => { this.point = (this.point + by + count) % count; this.show(); };
      const plain = { n: () => turn(1), p: () => turn(-1), d: () => this.step(1), a: () => this.step(-1), Delete: () => this.here(null), Backspace: () => this.here(null),
        c: () => this.copy(), x: () => this.swapSides(), X: () => this.swapAnimals(), m: () => this.accept(), "+": () => this.zoom(1.25), "-": () => this.zoom(0.8),
        0: () => { this.view = null; this.draw(); }, i: () => { this.animal = (this.animal + 1) % this.head.individuals.length; this.point = this.firstFree(); this.show(); },
        u: () => { const k = this.order.findIndex((row, at) => at > this.at && this.points[row].every((a) => a.every((p) => !p))); if (k < 0) this.tell("No unlabelled frame after this one."); else this.goTo(k); } };
      if (arrows && (event.shiftKey || event.altKey)) this.nudge(arrows[0] * size, arrows[1] * size);
      else if (arrows && arrows[0]) this.step(arrows[0]);
      else if (arrows) turn(arrows[1]);
      else if (plain[event.key]) plain[event.key]();
      else return;
      event.preventDefault();
    }
    // Model in the loop
    loop() {
      this.model = this.make("select", {});
      this.state = this.make("div", { className: "hint", aria: { role: "status" } });
      this.budget = this.make("input", { type: "text", value: "30 min", autocomplete: "off" });
      const made = this.make("details", { open: true }, this.make("summary", { textContent: "Model" }), this.make("div", { className: "panel tools" },
        this.labelled("Look at all frames with", this.model), this.button("Predict", () => this.predict()),
        this.button("Take what it found here", () => this.accept()),
        this.labelled("Train on these labels for", this.budget), this.button("Train", () => this.train()), this.state));
      this.fillModels();
      return made;
    }
    async fillModels() {
      const models = (await this.json("/api/models")).filter((one) => one.own && one.recipe === "pose.estimate");
      this.model.replaceChildren(...models.map((one) => this.make("option", { value: one.id, textContent: one.id })));
      if (!models.length) this.model.append(this.make("option", { value: "", textContent: "none trained yet" }));
    }
    async predict() {
      if (!this.model.value) return this.tell("Train first: label some frames, then press Train.");
      try { await this.json(this.address("/predict"), { model: this.model.value }); this.poll(); } catch (error) { this.complain(error); }
    }
    async train() {
      try {
        const run = await this.json(this.address("/train"), { fields: { budget: this.budget.value } });
        this.state.replaceChildren("Training: ", this.make("a", { href: `/runs/${run.id}`, textContent: run.id }));
      } catch (error) { this.complain(error); }
    }
    async poll() {
      clearTimeout(this.timer);
      const found = await this.json(this.address("/doubts")).catch((error) => ({ state: "failed", message: error.message }));
      if (found.state === "done") {
        this.found = found; this.state.textContent = `Found by ${found.model}. Dashed: what it found.`; this.sorting.value = "doubt"; this.sort();
      } else if (["waiting", "running"].includes(found.state)) {
        this.state.textContent = `The model is looking (${found.state})`; this.timer = setTimeout(() => this.poll(), 1500);
      } else this.state.textContent = found.message || "";
      this.stop = () => clearTimeout(this.timer);
    }
    adder() {
      if (!this.head.can_add || !this.head.videos.length) return "";
      const count = this.make("input", { type: "number", min: 1, max: 200, value: 10 }), how = this.select([["suggest", "that stand for all"], ["even", "evenly spaced"]], "suggest", () => {});
      const add = async () => {
        this.tell("Choosing frames");
        try { const made = await this.json(this.address("/frames"), { how: how.value, count: +count.value }); this.done = []; this.undone = []; this.found = null; this.pictures.clear(); this.order = null; await this.load(); this.slider.max = this.order.length - 1; this.goTo(this.at); this.tell(`${made.added} frames more.`); } catch (error) { this.complain(error); }
      };
      return this.make("details", {}, this.make("summary", { textContent: "More frames" }), this.make("div", { className: "panel tools" }, this.labelled("How many", count), this.labelled("Which", how), this.button("Add frames", add)));
    }
    exporter() {
      const links = [["", "own format"], ["dlc", "DeepLabCut"], ["slp", "SLEAP"], ["coco", "COCO"]].map(([f, shown]) => this.make("a", { href: this.address("/export", { format: f }), textContent: shown, download: "" }));
      return this.make("details", {}, this.make("summary", { textContent: "Download" }), this.make("div", { className: "tools" }, ...links));
    }
  }
  customElements.define("studio-label-keypoints", Keypoints);
})();
