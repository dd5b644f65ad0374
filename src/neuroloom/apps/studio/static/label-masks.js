// Masks on slices. A stroke changes the plane on the screen and goes to the studio as runs of voxels.
(() => {
  if (customElements.get("studio-label-masks")) return;
  const TOOLS = [["brush", "Brush", "b"], ["eraser", "Eraser", "e"], ["polygon", "Polygon", "g"], ["fill", "Fill", "f"]];
  const HINT = [["b e g f", "tools"], ["drag", "paint"], ["[ ]", "brush smaller, larger"], ["↑ ↓", "slice (also a, d)"], ["1 … 9", "structure"], ["t", "threshold inside the brush"], ["p", "propagate to the next slice (Shift: the one before)"],
    ["Enter", "close polygon"], ["Esc", "drop polygon"], ["wheel, + −", "zoom"], ["Space drag", "pan"], ["v", "next plane"], ["n", "most doubtful slice"], ["m", "take what the model found"], ["arrows with Alt", "move the cursor; Space paints there"], ["Ctrl Z / Y", "undo, redo"]];

  class Masks extends window.studioBench {
    build() {
      this.image = 0; this.axis = 0; this.index = 0; this.label = 1; this.tool = "brush"; this.size = 6; this.opacity = 0.5; this.view = null; this.path = []; this.cursor = null;
      this.canvas = this.make("canvas", { tabIndex: 0, aria: { role: "application", label: "Slice; keys are listed below" } });
      this.where = this.make("strong", {});
      this.slider = this.make("input", { type: "range", min: 0, aria: { label: "Slice" }, on: { input: () => this.goTo(+this.slider.value) } });
      this.images = this.select(this.head.images.map((one, k) => [k, one.name]), 0, (v) => { this.image = +v; this.openImage(); });
      this.plane = this.select([], 0, (v) => { this.axis = +v; this.openPlane(); });
      this.tools = this.make("div", { className: "tools", aria: { role: "group", label: "Tools" } }, ...TOOLS.map(([name, shown, key]) => this.button(shown, () => this.choose(name), { title: key, value: name })));
      const number = (name, text, value, set, more = {}) => { this[name] = this.make("input", { type: "number", value, on: { input: () => set(+this[name].value) }, ...more }); return this.labelled(text, this[name]); };
      this.gate = this.make("input", { type: "checkbox", on: { change: () => this.draw() } });
      const tools = this.make("div", { className: "tools" }, ...(this.head.images.length > 1 ? [this.labelled("Image", this.images)] : []), this.labelled("Plane", this.plane),
        this.button("‹", () => this.goTo(this.index - 1), { aria: { label: "Previous slice" } }), this.slider, this.button("›", () => this.goTo(this.index + 1), { aria: { label: "Next slice" } }), this.tools,
        number("sizeField", "Brush, px", 6, (v) => { this.size = Math.max(1, v || 1); this.draw(); }, { min: 1, max: 200 }),
        this.make("div", { className: "group" }, this.labelled("only between", this.gate, true), number("from", "from", 0, () => this.draw(), { step: "any" }), number("to", "to", 1, () => this.draw(), { step: "any" })),
        this.button("Propagate to next slice", () => this.propagate(1)), ...this.common());
      const display = this.make("details", {}, this.make("summary", { textContent: "Display" }), this.make("div", { className: "tools" },
        number("low", "black", 0, () => this.paintPicture(), { step: "any" }), number("high", "white", 1, () => this.paintPicture(), { step: "any" }),
        this.labelled("mask opacity", this.make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.5, on: { input: (e) => { this.opacity = +e.target.value; this.draw(); } } }))));
      this.list = this.make("ul", { className: "choices", aria: { label: "Structures" } });
      const fresh = this.make("input", { type: "text", placeholder: "new structure", aria: { label: "Name of a new structure" } });
      const add = async () => { if (fresh.value.trim()) { await this.send([{ label: fresh.value.trim() }]); fresh.value = ""; await this.refresh(); } };
      this.exporter = this.make("a", { textContent: "Download the mask", download: "" });
      this.finished = this.make("input", { type: "checkbox", on: { change: () => this.send([{ image: this.image, finished: this.finished.checked }]).then(() => this.refresh()) } });
      this.over_ = this.labelled("Finished: what is not painted is background", this.finished, true);
      this.budget = this.make("input", { type: "text", value: "30 min", autocomplete: "off" });
      this.state = this.make("div", { className: "hint", aria: { role: "status" } });
      this.model = this.make("select", {});
      const train = this.make("details", {}, this.make("summary", { textContent: "Model" }), this.make("div", { className: "panel tools" }, this.labelled("Look at the images with", this.model), this.button("Predict", () => this.predict()), this.button("Most doubtful slice", () => this.doubtful(), { title: "n" }), this.button("Take what it found on this slice", () => this.takeFound(), { title: "m" }), this.labelled("Train on these masks for", this.budget), this.button("Train", () => this.train()), this.state,
        this.make("div", { className: "hint", textContent: "A few painted slices are enough to begin: slices that nobody has touched teach nothing, until an image is finished." })));
      this.fillModels(); this.poll();
      this.root.append(this.make("div", { className: "said" }, this.where), tools, this.make("div", { className: "side" }, this.make("div", { className: "panel" }, this.canvas, this.said,
        this.make("div", { className: "hint" }, ...HINT.flatMap(([key, what]) => [this.make("kbd", { textContent: key }), ` ${what}  `]))),
        this.make("div", { className: "panel" }, this.list, this.make("div", { className: "tools" }, fresh, this.button("Add", add)), display, this.over_, this.make("div", {}, this.exporter), train, this.logPanel())));
      this.listen(); this.choose("brush");
      this.redrawWith(this.canvas, () => this.draw());
      return this.openImage();
    }
    refreshed() { this.showList(); this.showFinished(); return this.openSlice(true); }
    showFinished() { const one = this.head.images[this.image]; this.over_.hidden = one.shape.length < 3; this.finished.checked = one.finished; }
    async openImage() {
      try {
        this.grid = await this.json(this.address("/part/grid", { image: this.image }));
        this.low.value = Math.round(this.grid.low * 1000) / 1000; this.high.value = Math.round(this.grid.high * 1000) / 1000;
        this.from.value = this.low.value; this.to.value = this.high.value;
        this.plane.replaceChildren(...this.grid.planes.map((p, k) => this.make("option", { value: k, textContent: p.name })));
        this.axis = 0; this.exporter.href = this.address("/export", { format: this.head.images[this.image].name });
        this.showList(); this.showFinished(); this.tell(`${this.head.done} of ${this.head.total} images have a mask.`);
        await this.openPlane();
      } catch (error) { this.complain(error); }
    }
    get flat() { return this.grid.planes[this.axis]; }
    openPlane() { this.plane.value = this.axis; this.view = null; this.path = []; this.slider.max = this.flat.count - 1; this.index = Math.floor(this.flat.count / 2); this.picture = null; return this.openSlice(); }
    goTo(index) { const next = Math.min(this.flat.count - 1, Math.max(0, index)); if (next !== this.index) { this.index = next; this.path = []; this.openSlice(); } }
    async fetched(what, index = this.index, axis = this.axis) { return (await this.ask(this.address(`/part/${what}`, { image: this.image, axis, index }))).arrayBuffer(); }
    // Only the slice that was asked for last is shown; strokes wait for their slice.
    async openSlice(again) {
      const mark = (this.asked = (this.asked || 0) + 1);
      this.slider.value = this.index; this.ready = false;
      this.where.textContent = `${this.head.images[this.image].name} · ${this.flat.name} ${this.index + 1} of ${this.flat.count}`;
      try {
        await this.waiting;
        const [values, mask] = await Promise.all([this.fetched("slice"), this.fetched("mask")]);
        if (mark !== this.asked) return;
        this.values = new Float32Array(values); this.mask = new Uint8Array(mask); this.ready = true; this.kept = this.mask.slice();
        this.paintPicture();
      } catch (error) { if (mark === this.asked) this.complain(error); }
    }
    showList() {
      this.list.replaceChildren(...this.head.labels.map((name, k) => {
        const dot = this.make("span", { className: "dot full" }); dot.style.setProperty("--c", this.colour(k));
        return this.make("li", {}, this.make("button", { type: "button", aria: { pressed: this.label === k + 1 }, on: { click: () => { this.label = k + 1; this.showList(); this.canvas.focus(); } } }, dot, name, this.make("span", { className: "more", textContent: k < 9 ? String(k + 1) : "" })));
      }));
    }
    choose(tool) { this.tool = tool; this.path = []; for (const one of this.tools.children) one.setAttribute("aria-pressed", String(one.value === tool)); this.draw(); }
    // Picture and mask as small canvases of the plane's own grid
    paintPicture() {
      if (!this.values) return;
      const [rows, columns] = this.flat.size, n = this.values.length / (rows * columns), low = +this.low.value, scale = 255 / Math.max(1e-9, this.high.value - low);
      this.picture = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
      const pen = this.picture.getContext("2d"), held = pen.createImageData(columns, rows);
      for (let k = 0; k < rows * columns; k++) {
        for (let c = 0; c < 3; c++) held.data[4 * k + c] = (this.values[n * k + (n === 3 ? c : 0)] - low) * scale;
        held.data[4 * k + 3] = 255;
      }
      pen.putImageData(held, 0, 0); this.paintMask(); this.draw();
    }
    paintMask() {
      const [rows, columns] = this.flat.size;
      this.over ??= document.createElement("canvas");
      this.over.width = columns; this.over.height = rows;
      const pen = this.over.getContext("2d"), held = pen.createImageData(columns, rows);
      const colours = this.head.labels.map((_, k) => [1, 3, 5].map((at) => parseInt(this.colour(k).slice(at, at + 2), 16)));
      for (let k = 0; k < rows * columns; k++) {
        const c = this.mask[k] && colours[(this.mask[k] - 1) % colours.length];
        if (c) held.data.set([...c, 255], 4 * k);
      }
      pen.putImageData(held, 0, 0);
    }
    // From the plane's grid to the screen: turned, flipped, voxels as large as they are.
    transform() {
      const p = this.flat, [rows, columns] = p.size, [sr, sc] = p.spacing.map((s) => s || 1);
      const w = p.turn ? rows * sr : columns * sc, h = p.turn ? columns * sc : rows * sr;
      const width = this.canvas.clientWidth || 600, height = Math.min(Math.round(width * h / w), Math.max(280, innerHeight * 0.64));
      const zoom = this.view?.zoom || 1, s = Math.min(width / w, height / h) * zoom;
      const m = new DOMMatrix().translate(width / 2, height / 2).scale(s).translate(-(this.view?.x ?? 0), -(this.view?.y ?? 0)).scale(p.flip[1] ? -1 : 1, p.flip[0] ? -1 : 1);
      return { m: (p.turn ? m.multiply(new DOMMatrix([0, 1, 1, 0, 0, 0])) : m).scale(sc, sr).translate(-columns / 2, -rows / 2), width, height, s };
    }
    draw() {
      if (!this.grid || !this.picture) return;
      const { m, width, height } = this.transform(), [pen] = this.fit(this.canvas, height), base = pen.getTransform();
      pen.fillStyle = "#000"; pen.fillRect(0, 0, width, height);
      pen.imageSmoothingEnabled = false;
      pen.setTransform(base.multiply(m));
      pen.drawImage(this.picture, 0, 0); pen.globalAlpha = this.opacity; pen.drawImage(this.over, 0, 0); pen.globalAlpha = 1;
      pen.setTransform(base);
      const at = (c, r) => { const p = m.transformPoint(new DOMPoint(c, r)); return [p.x, p.y]; };
      pen.strokeStyle = "#fff"; pen.lineWidth = 1.5;
      if (this.path.length) { pen.beginPath(); this.path.forEach(([c, r], k) => (k ? pen.lineTo(...at(c, r)) : pen.moveTo(...at(c, r)))); if (this.cursor) pen.lineTo(...at(...this.cursor)); pen.stroke(); }
      if (this.cursor && ["brush", "eraser"].includes(this.tool)) { const [x, y] = at(...this.cursor), [x2, y2] = at(this.cursor[0] + this.size / 2, this.cursor[1]); pen.beginPath(); pen.arc(x, y, Math.max(2, Math.hypot(x2 - x, y2 - y)), 0, 7); pen.stroke(); }
      pen.font = "600 13px system-ui"; pen.fillStyle = "#fff"; pen.shadowColor = "#000"; pen.shadowBlur = 4;
      const [left, right, top, bottom] = this.flat.sides;
      pen.fillText(left, 6, height / 2); pen.fillText(right, width - 16, height / 2); pen.fillText(top, width / 2, 16); pen.fillText(bottom, width / 2, height - 6); pen.shadowBlur = 0;
    }
    spot(event) {
      const box = this.canvas.getBoundingClientRect(), p = this.transform().m.inverse().transformPoint(new DOMPoint(event.clientX - box.left, event.clientY - box.top));
      return [p.x, p.y];
    }
    // Tools; all of them change `this.mask` and then call `finish`
    passes(k) { if (!this.gate.checked) return true; const n = this.values.length / this.mask.length, v = n === 3 ? (this.values[3 * k] + this.values[3 * k + 1] + this.values[3 * k + 2]) / 3 : this.values[n * k]; return v >= +this.from.value && v <= +this.to.value; }
    dab([c0, r0], number) {
      const [rows, columns] = this.flat.size, reach = this.size / 2;
      for (let r = Math.max(0, Math.floor(r0 - reach)); r <= Math.min(rows - 1, r0 + reach); r++) for (let c = Math.max(0, Math.floor(c0 - reach)); c <= Math.min(columns - 1, c0 + reach); c++) {
        const inside = Math.hypot(c + 0.5 - c0, r + 0.5 - r0) <= reach || (c === Math.floor(c0) && r === Math.floor(r0)), k = r * columns + c;
        if (inside && (number === 0 || this.passes(k))) this.mask[k] = number;
      }
    }
    line(from, to, number) { const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1]) / Math.max(1, this.size / 2))); for (let k = 0; k <= steps; k++) this.dab([from[0] + (to[0] - from[0]) * k / steps, from[1] + (to[1] - from[1]) * k / steps], number); }
    closePolygon() {
      const path = this.path, [rows, columns] = this.flat.size;
      this.path = [];
      if (path.length < 3) return this.draw();
      for (let r = 0; r < rows; r++) {
        const y = r + 0.5, cuts = [];
        path.forEach(([x1, y1], k) => { const [x2, y2] = path[(k + 1) % path.length]; if (y1 <= y !== y2 <= y) cuts.push(x1 + (y - y1) / (y2 - y1) * (x2 - x1)); });
        cuts.sort((a, b) => a - b);
        for (let k = 0; k + 1 < cuts.length; k += 2) for (let c = Math.max(0, Math.ceil(cuts[k] - 0.5)); c <= Math.min(columns - 1, cuts[k + 1] - 0.5); c++) if (this.passes(r * columns + c)) this.mask[r * columns + c] = this.label;
      }
      this.finish("polygon");
    }
    flood([c0, r0]) {
      const [rows, columns] = this.flat.size, c = Math.floor(c0), r = Math.floor(r0);
      if (c < 0 || r < 0 || c >= columns || r >= rows) return;
      const was = this.mask[r * columns + c], waiting = [r * columns + c];
      if (was === this.label) return;
      while (waiting.length) {
        const k = waiting.pop();
        if (this.mask[k] !== was || !this.passes(k)) continue;
        this.mask[k] = this.label;
        const x = k % columns;
        if (x) waiting.push(k - 1); if (x < columns - 1) waiting.push(k + 1);
        if (k >= columns) waiting.push(k - columns); if (k < columns * (rows - 1)) waiting.push(k + columns);
      }
      this.finish("fill");
    }
    async propagate(by) {
      const next = this.index + by, source = this.mask.slice(), label = this.label;
      if (next < 0 || next >= this.flat.count) return this.tell("There is no further slice.");
      if (!source.includes(label)) return this.tell(`Nothing of ${this.head.labels[label - 1]} is on this slice.`);
      this.index = next;
      await this.openSlice();
      if (!this.ready || this.index !== next) return;
      source.forEach((v, k) => { if (v === label && this.passes(k)) this.mask[k] = label; });
      this.finish("propagate");
    }
    runs(from, to) {
      const found = [];
      for (let k = 0; k < to.length; k++) {
        if (from[k] === to[k]) continue;
        const last = found[found.length - 1];
        if (last && last[0] + last[1] === k && last[2] === to[k]) last[1] += 1; else found.push([k, 1, to[k]]);
      }
      return found;
    }
    finish(tool) {
      const before = this.kept, after = this.mask.slice(), forth = this.runs(before, after);
      if (forth.length) {
        const place = { image: this.image, axis: this.axis, index: this.index };
        this.kept = after;
        this.change([{ ...place, tool, runs: forth }], [{ ...place, tool: "undo", runs: this.runs(after, before) }]);
      }
      this.paintMask(); this.draw();
    }
    async perform(edits, jump) {
      this.send(edits);
      const [{ image, axis, index, runs }] = edits;
      if (!jump) return;
      if (image === this.image && axis === this.axis && index === this.index && this.ready) { for (const [start, n, v] of runs) this.mask.fill(v, start, start + n); this.kept = this.mask.slice(); this.paintMask(); this.draw(); return; }
      if (image !== this.image) { this.image = image; this.images.value = image; await this.openImage(); }
      if (axis !== this.axis) { this.axis = axis; await this.openPlane(); }
      this.index = index;
      await this.openSlice();
    }
    zoom(by, at) { const now = this.view || { x: 0, y: 0, zoom: 1 }, zoom = Math.min(40, Math.max(1, now.zoom * by)), share = 1 - now.zoom / zoom, [x, y] = at || [now.x, now.y]; this.view = zoom < 1.001 ? null : { zoom, x: now.x + (x - now.x) * share, y: now.y + (y - now.y) * share }; this.draw(); }
    listen() {
      const c = this.canvas;
      let held = null, last = null, space = false;
      const number = () => (this.tool === "eraser" ? 0 : this.label);
      c.addEventListener("pointerdown", (event) => {
        c.focus();
        if (!this.ready) return;
        c.setPointerCapture(event.pointerId);
        if (space || event.button === 1) { held = "pan"; last = [event.clientX, event.clientY]; return; }
        const spot = (this.cursor = this.spot(event));
        if (event.button) return;
        if (this.tool === "polygon") { this.path.push(spot); this.draw(); return; }
        if (this.tool === "fill") return this.flood(spot);
        held = "paint"; last = spot; this.dab(spot, number()); this.paintMask(); this.draw();
      });
      c.addEventListener("pointermove", (event) => {
        if (!this.grid) return;
        if (held === "pan") { const s = this.transform().s, v = this.view || { x: 0, y: 0, zoom: 1 }; this.view = { ...v, x: v.x - (event.clientX - last[0]) / s, y: v.y - (event.clientY - last[1]) / s }; last = [event.clientX, event.clientY]; return this.draw(); }
        const spot = (this.cursor = this.spot(event));
        if (held === "paint") { this.line(last, spot, number()); last = spot; this.paintMask(); }
        this.draw();
      });
      const drop = () => { if (held === "paint") this.finish(this.tool); held = null; };
      c.addEventListener("pointerup", drop); c.addEventListener("pointercancel", drop);
      c.addEventListener("dblclick", () => this.tool === "polygon" && this.closePolygon());
      c.addEventListener("pointerleave", () => { if (!held) { this.cursor = null; this.draw(); } });
      c.addEventListener("wheel", (event) => { event.preventDefault(); const v = this.transform(), box = c.getBoundingClientRect(), now = this.view || { x: 0, y: 0 }; this.zoom(event.deltaY < 0 ? 1.25 : 0.8, [now.x + (event.clientX - box.left - v.width / 2) / v.s, now.y + (event.clientY - box.top - v.height / 2) / v.s]); }, { passive: false });
      c.addEventListener("keyup", (event) => { if (event.key === " ") space = false; });
      c.addEventListener("keydown", (event) => {
        if (event.key !== " ") return this.key(event);
        event.preventDefault();
        if (this.byKeys && !event.repeat && this.ready) { this.dab(this.cursor, number()); this.finish(this.tool); } else space = true;
      });
    }
    key(event) {
      if (this.undoKeys(event) || event.ctrlKey || event.metaKey || !this.grid) return;
      const arrows = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const size = (by) => { this.size = Math.min(200, Math.max(1, this.size + by)); this.sizeField.value = this.size; this.draw(); };
      const plain = { ArrowUp: () => this.goTo(this.index + 1), ArrowDown: () => this.goTo(this.index - 1), d: () => this.goTo(this.index + 1), a: () => this.goTo(this.index - 1), "[": () => size(-1), "]": () => size(1),
        t: () => { this.gate.checked = !this.gate.checked; this.tell(this.gate.checked ? "Paints only values between the limits." : "Paints all values."); }, p: () => this.propagate(1), P: () => this.propagate(-1),
        Enter: () => this.closePolygon(), Escape: () => { this.path = []; this.draw(); }, "+": () => this.zoom(1.25), "-": () => this.zoom(0.8), 0: () => { this.view = null; this.draw(); },
        n: () => this.doubtful(), m: () => this.takeFound(), v: () => { this.axis = (this.axis + 1) % this.grid.planes.length; this.openPlane(); } };
      for (const [name, , key] of TOOLS) plain[key] = () => this.choose(name);
      if (arrows && event.altKey) { const [rows, columns] = this.flat.size, from = this.cursor || [columns / 2, rows / 2]; this.cursor = [from[0] + arrows[0], from[1] + arrows[1]]; this.byKeys = true; this.draw(); }
      else if (/^[1-9]$/.test(event.key) && +event.key <= this.head.labels.length) { this.label = +event.key; this.showList(); }
      else if (plain[event.key]) plain[event.key]();
      else return;
      event.preventDefault();
    }
    // Model in the loop: it looks, slices come by doubt, a person corrects, it learns again.
    async fillModels() {
      const models = (await this.json("/api/models")).filter((one) => one.own && one.recipe === this.head.recipe);
      this.model.replaceChildren(...models.map((one) => this.make("option", { value: one.id, textContent: one.id })));
      if (!models.length) this.model.append(this.make("option", { value: "", textContent: "none trained yet" }));
    }
    async predict() {
      if (!this.model.value) return this.tell("Train first: paint some images, then press Train.");
      this.slices = null;
      try { await this.json(this.address("/predict"), { model: this.model.value }); this.poll(); } catch (error) { this.complain(error); }
    }
    async poll() {
      clearTimeout(this.timer); this.stop = () => clearTimeout(this.timer);
      const found = await this.json(this.address("/doubts")).catch((error) => ({ state: "failed", message: error.message }));
      if (found.state === "done") { this.slices = found.slices; this.turn = 0; this.state.textContent = `Found by ${found.model}: ${found.slices.length} slices to look at.`; }
      else if (["waiting", "running"].includes(found.state)) { this.state.textContent = `The model is looking (${found.state})`; this.timer = setTimeout(() => this.poll(), 1500); }
      else this.state.textContent = found.message || "";
    }
    async doubtful() {
      if (!this.slices?.length) return this.tell("No model has looked at these images yet.");
      const next = this.slices[this.turn++ % this.slices.length];
      if (next.image !== this.image) { this.image = next.image; this.images.value = next.image; await this.openImage(); }
      if (this.axis !== 0) { this.axis = 0; await this.openPlane(); }
      this.index = next.index; await this.openSlice();
      this.tell(`${next.why}, doubt ${Math.round(100 * next.doubt)} %.`);
    }
    async takeFound() {
      if (!this.slices) return this.tell("No model has looked at these images yet.");
      try { const at = this.asked, found = new Uint8Array(await this.fetched("found")); if (at !== this.asked || !this.ready) return; this.mask.set(found); this.finish("model"); } catch (error) { this.complain(error); }
    }
    async train() {
      try { const run = await this.json(this.address("/train"), { fields: { budget: this.budget.value } }); this.state.replaceChildren("Training: ", this.make("a", { href: `/runs/${run.id}`, textContent: run.id })); } catch (error) { this.complain(error); }
    }
  }
  customElements.define("studio-label-masks", Masks);
})();
