"use strict";
// Shows one of the embedded chains with Mol*. Colours come with the residues (category `provq`).
(async () => {
  const byId = (name) => document.getElementById(name);
  const box = byId("viewer");
  const chains = JSON.parse(byId("structures").textContent);
  const chooser = byId("viewer-chain");
  const node = (kind, params, ...children) => ({kind, params, children});
  let field = "by_code";
  let viewer;
  const structure = (text, ...children) => {
    const url = URL.createObjectURL(new Blob([text], {type: "text/plain"}));
    // The part after # is for Mol*, which guesses formats from names.
    return [url, node("download", {url: url + "#chain.cif"},
      node("parse", {format: "mmcif"}, node("structure", {type: "model"}, ...children)))];
  };
  const component = (type, ...children) =>
    node("component", {selector: "all"}, node("representation", {type}, ...children));
  const show = async (keepCamera) => {
    box.dataset.state = "loading";
    const chain = chains[Number(chooser.value)];
    const from = (name) => ({schema: "residue", category_name: "provq", field_name: name});
    const made = [structure(chain.shown,
      component("cartoon", node("color_from_source", from(field))),
      node("tooltip_from_source", from("tooltip")))];
    if (byId("with-decoded").checked && chain.decoded)
      made.push(structure(chain.decoded, component("backbone", node("color", {color: "#8a8a8a"}))));
    const state = {
      kind: "single", metadata: {version: "1", timestamp: "2000-01-01T00:00:00Z"},
      root: node("root", {}, ...made.map((one) => one[1])),
    };
    try {
      await viewer.loadMvsData(JSON.stringify(state), "mvsj", {keepCamera, keepSnapshotCamera: keepCamera});
      box.dataset.state = "ready";
      box.dataset.shown = `${chain.name} ${field}`;
    } finally {
      for (const [url] of made) URL.revokeObjectURL(url);
    }
  };
  // One after the other: a second chain may be chosen while the first is being loaded.
  let last = Promise.resolve();
  const refresh = (keepCamera) => {
    last = last.then(() => show(keepCamera)).catch((error) => {
      box.dataset.state = "failed";
      console.error(`the structure cannot be shown: ${error.message}`);
    });
  };
  const colour = (name) => {
    field = name;
    for (const [id, value, scale] of [["by-code", "by_code", "code-scale"], ["by-error", "by_error", "error-scale"]]) {
      byId(id).setAttribute("aria-pressed", String(value === name));
      byId(scale).hidden = value !== name;
    }
    refresh(true);
  };
  const enable = () => {
    const chain = chains[Number(chooser.value)];
    byId("with-decoded").disabled = !chain.decoded;
    byId("by-error").disabled = !chain.error;
    if (!chain.error && field === "by_error") colour("by_code");
  };
  try {
    viewer = await molstar.Viewer.create("viewer", {
      layoutIsExpanded: false, layoutShowControls: false, layoutShowRemoteState: false,
      layoutShowSequence: false, layoutShowLog: false, viewportShowExpand: true,
      viewportShowSelectionMode: false, viewportShowAnimation: false,
      viewportShowTrajectoryControls: false, viewportShowXR: "never",
      pdbProvider: "rcsb", emdbProvider: "rcsb",
    });
  } catch (error) {
    box.dataset.state = "failed";
    const told = document.createElement("p");
    told.textContent = `The 3D view cannot be shown (it needs WebGL): ${error.message}`;
    box.replaceChildren(told);
    return;
  }
  chooser.addEventListener("change", () => { enable(); refresh(false); });
  byId("with-decoded").addEventListener("change", () => refresh(true));
  byId("by-code").addEventListener("click", () => colour("by_code"));
  byId("by-error").addEventListener("click", () => colour("by_error"));
  enable();
  refresh(false);
})();
