// Light or dark is remembered in this browser only. It is set before anything is drawn.
(() => {
  const root = document.documentElement;
  const kept = localStorage.getItem("neuroloom-theme");
  if (kept) root.dataset.theme = kept;
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const tellQuasar = () => window.Quasar && window.Quasar.Dark.set(isDark());
  window.studioTheme = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("neuroloom-theme", root.dataset.theme);
    tellQuasar();
  };
  window.addEventListener("load", () => setTimeout(tellQuasar, 50));
  window.studioCopy = (text, button) => {
    const done = () => { button.textContent = "Copied"; setTimeout(() => (button.textContent = "Copy"), 1500); };
    if (navigator.clipboard) return navigator.clipboard.writeText(text).then(done);
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    done();
  };
  // A form that only asks for another address changes the page as a link does.
  document.addEventListener("submit", (event) => {
    const form = event.target, where = form.getAttribute("action") || "";
    if (form.method !== "get" || !where.startsWith("/")) return;
    event.preventDefault();
    const query = new URLSearchParams(new FormData(form)).toString();
    emitEvent("sub_pages_navigate", query ? `${where}?${query}` : where);
  });
  window.studioArrived = () => {
    const page = document.querySelector(".page");
    page?.setAttribute("tabindex", "-1");
    page?.focus({ preventScroll: true });
  };
  // Files go to the HTTP API one by one, so that a folder of any size needs no memory here. `held` is
  // an input, or what was dropped: it tells of folders, and is empty after the first wait.
  window.studioUpload = async (held, folder, most, tell) => {
    const files = [...held.files], refuse = (message) => tell({ state: "refused", message });
    const whole = [...(held.items ?? [])].map((item) => item.webkitGetAsEntry?.()).find((entry) => entry?.isDirectory);
    if (whole) return refuse(`${whole.name} is a folder: drop its files, or add the folder on the page Data.`);
    const large = files.find((file) => file.size > most);
    if (large) return refuse(`${large.name} is larger than an upload may be: put it into the studio's folder, or one given with --data, yourself.`);
    let path = "";
    for (const [k, file] of files.entries()) {
      tell({ state: "sending", name: file.name, at: k + 1, of: files.length });
      const query = new URLSearchParams({ name: file.name, folder });
      const sent = fetch(`/api/uploads?${query}`, { method: "POST", body: file });
      const answer = await sent.catch(() => null);
      const said = await answer?.json().catch(() => null);
      if (!answer?.ok || !said) return refuse(said?.message || `${file.name} was not received: see that the studio runs and the file can be read, then try again.`);
      path = said.path;
    }
    if (files.length) tell({ state: "done", path, folder: path.split("/").slice(0, -1).join("/"), of: files.length });
  };
})();
