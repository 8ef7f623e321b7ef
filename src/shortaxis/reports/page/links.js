
/* What leads to the viewer: pictures, cells and the curves; and what paper needs. */
(() => {
  for (const link of document.querySelectorAll("[data-frame]")) {
    link.addEventListener("click", () => {
      viewer.stop();
      viewer.go({ frame: Number(link.dataset.frame), slice: Number(link.dataset.slice) });
    });
  }

  const chart = document.getElementById("curves");
  if (chart) {
    const places = chart.dataset.places.split(" ").map(Number);
    const across = chart.dataset.x.split(" ").map(Number);
    const cursor = chart.querySelector(".cursor");
    const readout = document.getElementById("curve-readout");

    const show = (place) => {
      const { number, phase, rvPhase, ms, ml } = viewer.data.frames[places[place]];
      const when = [`Frame ${number}`, phase, rvPhase && `RV's own ${rvPhase}`, ms === null ? null : `${Math.round(ms)} ms`].filter(Boolean).join(", ");
      readout.textContent = `${when}: LV ${ml[0].toFixed(0)} ml, RV ${ml[1].toFixed(0)} ml`;
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, across[place]);
    };
    let current = 0;
    viewer.watch((frame) => {
      const place = places.indexOf(frame);
      cursor.toggleAttribute("hidden", place < 0);
      if (place >= 0) show((current = place));
    });
    const nearest = (event) => {
      const { left, width } = chart.getBoundingClientRect();
      const x = ((event.clientX - left) / width) * chart.viewBox.baseVal.width;
      return across.reduce((best, one, place) => (Math.abs(one - x) < Math.abs(across[best] - x) ? place : best), 0);
    };
    chart.addEventListener("pointermove", (event) => show(nearest(event)));
    chart.addEventListener("pointerleave", () => show(current));
    chart.addEventListener("click", (event) => {
      viewer.stop();
      viewer.go({ frame: places[nearest(event)] });
    });
  }

  const folded = document.querySelectorAll(".on-paper");
  window.addEventListener("beforeprint", () => folded.forEach((one) => { one.dataset.was = one.open; one.open = true; }));
  window.addEventListener("afterprint", () => folded.forEach((one) => { one.open = one.dataset.was === "true"; }));
})();
