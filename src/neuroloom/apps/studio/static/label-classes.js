// Classes of images: look, press a key, the next one comes.
(() => {
  if (customElements.get("studio-label-classes")) return;
  class Classes extends window.studioBench {
    build() {
      this.at = Math.max(0, this.head.labels.indexOf(null)); this.axis = 0; this.share = 50;
      this.where = this.make("strong", {});
      this.canvas = this.make("canvas", { tabIndex: 0, aria: { role: "application", label: "Image; press the number of its class" } });
      this.only = this.make("input", { type: "checkbox", checked: true });
      this.slider = this.make("input", { type: "range", min: 0, max: this.head.images.length - 1, aria: { label: "Image" }, on: { input: () => this.goTo(+this.slider.value) } });
      const depth = this.make("input", { type: "range", min: 1, max: 100, value: 50, on: { input: () => { this.share = +depth.value; this.show(); } } });
      const axis = this.select([[0, "first"], [1, "second"], [2, "third"]], 0, (v) => { this.axis = +v; this.show(); });
      const tools = this.make("div", { className: "tools" }, this.button("‹", () => this.goTo(this.at - 1), { aria: { label: "Previous image" } }), this.slider, this.button("›", () => this.goTo(this.at + 1), { aria: { label: "Next image" } }),
        this.labelled("skip those done", this.only, true), this.labelled("Depth (volumes)", depth), this.labelled("Axis (volumes)", axis), ...this.common());
      this.list = this.make("ul", { className: "choices", aria: { label: "Classes" } });
      const fresh = this.make("input", { type: "text", placeholder: "new class", aria: { label: "Name of a new class" } });
      const add = async () => { if (fresh.value.trim()) { await this.send([{ class: fresh.value.trim() }]); fresh.value = ""; await this.refresh(); } };
      this.budget = this.make("input", { type: "text", value: "10 min", autocomplete: "off" });
      const folders = this.head.images[0].split("/").length - 1;
      this.whose = this.make("input", { type: "text", value: this.head.pattern, placeholder: folders ? `{subject}${"/*".repeat(folders)}` : "{subject}_{session}", autocomplete: "off" });
      this.state = this.make("div", { className: "hint", aria: { role: "status" } });
      const train = this.make("details", {}, this.make("summary", { textContent: "Model" }), this.make("div", { className: "panel tools" }, this.labelled("Names say whose an image is", this.whose), this.labelled("Train on these classes for", this.budget), this.button("Train", () => this.train()), this.state));
      const hint = [["1 … 9", "class"], ["← →", "image before, after"], ["Del", "no class"], ["u", "next without a class"], ["Ctrl Z / Y", "undo, redo"]];
      this.root.append(this.make("div", { className: "said" }, this.where), tools, this.make("div", { className: "side" }, this.make("div", { className: "panel" }, this.canvas, this.said,
        this.make("div", { className: "hint" }, ...hint.flatMap(([key, what]) => [this.make("kbd", { textContent: key }), ` ${what}  `]))),
        this.make("div", { className: "panel" }, this.list, this.make("div", { className: "tools" }, fresh, this.button("Add", add)), this.make("a", { href: this.address("/export"), textContent: "Download the table", download: "" }), train, this.logPanel())));
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      this.redrawWith(this.canvas, () => this.draw());
      this.tell(`${this.head.done} of ${this.head.total} images have a class.`);
      this.show(); this.canvas.focus({ preventScroll: true });
    }
    refreshed() { this.show(); }
    goTo(at) { this.at = Math.min(this.head.images.length - 1, Math.max(0, at)); this.show(); }
    next() {
      const { labels } = this.head, n = labels.length;
      for (let k = 1; k <= n; k++) { const at = (this.at + k) % n; if (labels[at] === null) return this.goTo(at); }
      this.show(); this.tell("Every image has a class.");
    }
    show() {
      const { images, labels, classes } = this.head, at = this.at;
      this.where.textContent = `${images[at]} (${at + 1} of ${images.length})`; this.slider.value = at;
      this.list.replaceChildren(...classes.map((name, k) => {
        const dot = this.make("span", { className: "dot full" }); dot.style.setProperty("--c", this.colour(k));
        const count = labels.filter((label) => label === name).length;
        return this.make("li", {}, this.make("button", { type: "button", aria: { pressed: labels[at] === name }, on: { click: () => { this.give(name); this.canvas.focus(); } } }, dot, name, this.make("span", { className: "more", textContent: `${k < 9 ? `${k + 1} · ` : ""}${count}` })));
      }));
      const image = new Image();
      image.src = this.address("/part/image", { image: at, axis: this.axis, share: this.share });
      image.onload = () => { if (this.latest === image) { this.shown = image; this.draw(); } };
      image.onerror = () => { if (this.latest === image) { this.shown = null; this.draw(); this.complain(new Error(`${images[at]} cannot be read; give it no class, or go on.`)); } };
      this.latest = image; this.draw();
    }
    draw() {
      const height = Math.max(260, Math.round(innerHeight * 0.6)), [pen, width] = this.fit(this.canvas, height), image = this.shown;
      pen.fillStyle = "#000"; pen.fillRect(0, 0, width, height);
      if (!image) return;
      const s = Math.min(width / image.naturalWidth, height / image.naturalHeight), w = image.naturalWidth * s, h = image.naturalHeight * s;
      pen.imageSmoothingEnabled = s < 2; pen.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
      const label = this.head.labels[this.at];
      if (label === null) return;
      pen.font = "600 16px system-ui"; const wide = pen.measureText(label).width;
      pen.fillStyle = this.colour(this.head.classes.indexOf(label)); pen.fillRect(8, 8, wide + 20, 30); pen.fillStyle = "#000"; pen.fillText(label, 18, 29);
    }
    give(to) {
      const image = this.at, from = this.head.labels[image];
      if (from !== to) this.change([{ image, to }], [{ image, to: from }]);
      if (to !== null) { if (this.only.checked) this.next(); else this.goTo(image + 1); }
    }
    perform(edits, jump) { for (const { image, to } of edits) this.head.labels[image] = to; if (jump) this.at = edits[0].image; this.show(); this.send(edits); }
    key(event) {
      if (this.undoKeys(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      const { classes } = this.head;
      if (/^[1-9]$/.test(event.key) && +event.key <= classes.length) this.give(classes[+event.key - 1]);
      else if (event.key === "ArrowRight") this.goTo(this.at + 1);
      else if (event.key === "ArrowLeft") this.goTo(this.at - 1);
      else if (event.key === "Delete" || event.key === "Backspace") this.give(null);
      else if (event.key === "u") this.next();
      else return;
      event.preventDefault();
    }
    async train() {
      const pattern = this.whose.value.trim();
      if (pattern !== this.head.pattern && !(await this.send([{ pattern }]))) return;
      this.head.pattern = pattern;
      try { const run = await this.json(this.address("/train"), { fields: { budget: this.budget.value } }); this.state.replaceChildren("Training: ", this.make("a", { href: `/runs/${run.id}`, textContent: run.id })); } catch (error) { this.complain(error); }
    }
  }
  customElements.define("studio-label-classes", Classes);
})();
