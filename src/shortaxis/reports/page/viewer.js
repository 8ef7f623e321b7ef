"use strict";

/* The viewer: one slice of one frame at a time. `viewer` is what links.js uses of it. */
const viewer = (() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const at = (id) => document.getElementById(id);
  const phases = { ED: "end-diastole", ES: "end-systole" };
  const nFrames = data.frames.length;
  const wide = [0, 0, ...data.size];
  const STEP_PX = 16; // of a drag from one slice or frame to the next
  const WHEEL_PX = 40;
  const BEAT_MS = 1000; // of a cine that does not tell its times
  const LONGEST_BEAT_MS = 3000;

  const state = { slice: Math.floor(data.slices / 2), frame: 0, map: "", playing: false };
  const watchers = [];
  const images = new Map();

  /* An image begins to load when it is first asked for, and is drawn as soon as it is there. */
  function imageOf(sheet) {
    if (!images.has(sheet)) {
      const image = new Image();
      images.set(sheet, image);
      image.addEventListener("load", draw);
      image.src = sheet.uri;
    }
    const image = images.get(sheet);
    return image.complete && image.naturalWidth ? image : null;
  }

  function go({ slice = state.slice, frame = state.frame }) {
    state.slice = Math.max(0, Math.min(data.slices - 1, slice));
    state.frame = Math.max(0, Math.min(nFrames - 1, frame));
    at("slice").value = state.slice + 1;
    at("frame").value = state.frame + 1;
    tell();
    draw();
    watchers.forEach((watch) => watch(state.frame));
  }

  /* Words: the corner of the picture, the status below it, and what a screen reader says once things stand still. */
  function level(slice) {
    if (data.slices < 2) return "";
    const share = slice / (data.slices - 1);
    return (data.basalFirst ? share < 0.5 : share > 0.5) ? "towards the base" : share === 0.5 ? "" : "towards the apex";
  }

  function frameWords(frame) {
    const { number, phase, rvPhase, ms } = data.frames[frame];
    return [`frame ${number}`, phase && phases[phase], rvPhase && `${phases[rvPhase]} of the RV itself`, ms !== null && `${Math.round(ms)} ms`].filter(Boolean).join(", ");
  }

  let toSpeak = 0;
  function tell() {
    const frame = data.frames[state.frame];
    const slice = `Slice ${state.slice + 1} of ${data.slices}`;
    const judged = frame.endSlices[state.slice];
    const verdict = judged ? `${judged[1]} end slice: ${judged[0]}, ${Math.round(100 * judged[2])} %${judged[3].map((why) => `; ${why}`).join("")}` : "";
    at("corner").textContent = `${state.slice + 1}/${data.slices} ${level(state.slice)}`;
    at("corner-right").textContent = [frame.phase, `frame ${frame.number}`, frame.ms !== null && `${Math.round(frame.ms)} ms`].filter(Boolean).join("\n");
    const anew = frame.anew[state.slice];
    at("status").textContent = [
      `${slice}, ${frameWords(state.frame)}.`,
      verdict && `${verdict[0].toUpperCase()}${verdict.slice(1)}.`,
      anew && `Decided anew for consistency in time: ${anew.join(", ")}.`,
    ].filter(Boolean).join(" ");
    at("slice").setAttribute("aria-valuetext", `${slice} ${level(state.slice)}`.trim());
    at("frame").setAttribute("aria-valuetext", frameWords(state.frame));
    clearTimeout(toSpeak);
    if (!state.playing) {
      toSpeak = setTimeout(() => {
        at("spoken").textContent = at("status").textContent;
        at("scan").setAttribute("aria-label", `Scan: ${slice}, ${frameWords(state.frame)}`);
      }, 250);
    }
  }

  /* Drawing */
  let drawing = 0;
  function draw() {
    drawing = drawing || requestAnimationFrame(() => {
      drawing = 0;
      paint();
    });
  }

  function paint() {
    const [left, top, width, height] = at("zoom").checked ? data.close : wide;
    const [across, down] = [width * data.pixelMm[0], height * data.pixelMm[1]];
    const stage = at("stage");
    const room = stage.parentElement.querySelector(".status").clientWidth;
    const size = Math.min(room, (Math.max(280, Math.min(window.innerHeight * 0.6, 760)) * across) / down);
    stage.style.width = `${size}px`;
    stage.style.height = `${(size * down) / across}px`;
    const ratio = window.devicePixelRatio || 1;
    const [pen, marks] = ["scan", "marks"].map((id) => {
      const canvas = at(id);
      const [w, h] = [Math.round(size * ratio), Math.round(((size * down) / across) * ratio)];
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
      const context = canvas.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, w, h);
      context.imageSmoothingQuality = "high";
      context.setTransform(w / width, 0, 0, h / height, (-left * w) / width, (-top * h) / height);
      return context;
    });
    tile(pen, data.scan[state.slice]);
    const map = data.maps[state.map];
    if (map) tile(marks, map.sheets[map.sheets.length > 1 ? state.slice : 0]);
    outlines(marks, ratio);
  }

  function tile(pen, sheet) {
    const image = imageOf(sheet);
    if (!image) return;
    const [column, row] = [state.frame % sheet.across, Math.floor(state.frame / sheet.across)];
    pen.drawImage(image, column * sheet.pitch[0], row * sheet.pitch[1], ...sheet.tile, 0, 0, ...data.size);
  }

  function outlines(pen, ratio) {
    const frozen = pen.getTransform();
    const [lineAcross, lineDown] = [frozen.a / 2, frozen.d / 2]; // the paths are in half pixels
    data.outlines[state.frame][state.slice].forEach((text, part) => {
      const path = new Path2D();
      path.addPath(new Path2D(text), new DOMMatrix([lineAcross, 0, 0, lineDown, frozen.e, frozen.f]));
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.strokeStyle = pen.fillStyle = data.colours[part];
      if (at("fill").checked) {
        pen.globalAlpha = 0.3;
        pen.fill(path, "evenodd");
        pen.globalAlpha = 1;
      }
      if (at("contours").checked) {
        pen.lineWidth = 1.6 * ratio;
        pen.lineJoin = "round";
        pen.stroke(path);
      }
      pen.setTransform(frozen);
    });
  }

  /* Maps */
  function choose(map) {
    state.map = map;
    at("map").value = map;
    const chosen = data.maps[map];
    at("map-legend").hidden = !chosen;
    if (chosen) {
      at("map-text").textContent = chosen.text;
      at("map-low").textContent = chosen.low;
      at("map-high").textContent = chosen.high;
      at("map-colours").replaceChildren(...chosen.colours.map((colour, place, all) => {
        const stop = document.createElementNS("http://www.w3.org/2000/svg", "stop");
        stop.setAttribute("offset", place / (all.length - 1));
        stop.setAttribute("stop-color", colour);
        return stop;
      }));
    }
    draw();
  }

  /* The next map of a kind, and none after the last. */
  function nextMap(kind) {
    const places = data.maps.map((map, place) => (map.kind === kind ? String(place) : "")).filter(Boolean);
    const next = places.indexOf(state.map) + 1;
    if (places.length) choose(places[next] || "");
  }

  /* The cine runs at the pace of the heart where the frames tell their times. */
  const cine = data.cine.length ? data.cine : data.frames.map((_, place) => place);
  const times = (() => {
    const told = cine.map((place) => data.frames[place].ms);
    const steps = told.slice(1).map((ms, place) => ms - told[place]);
    const step = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)];
    const good = told.length > 2 && told.every((ms) => ms !== null) && steps.every((ms) => ms > 0) && step * told.length < LONGEST_BEAT_MS;
    const even = told.map((_, place) => (place * BEAT_MS) / told.length);
    return good ? { starts: told.map((ms) => ms - told[0]), beat: told[told.length - 1] - told[0] + step } : { starts: even, beat: BEAT_MS };
  })();

  let last = 0;
  let moment = 0;
  function play(on = !state.playing) {
    state.playing = on && cine.length > 1;
    at("play").textContent = state.playing ? "❚❚ Pause" : "▶ Play";
    if (!state.playing) return tell();
    last = 0;
    moment = times.starts[Math.max(0, cine.indexOf(state.frame))];
    requestAnimationFrame(beat);
    return undefined;
  }

  function beat(now) {
    if (!state.playing) return;
    if (last) moment = (moment + (now - last) * Number(at("speed").value)) % times.beat;
    last = now;
    const place = times.starts.findLastIndex((start) => start <= moment + 1e-6);
    if (cine[place] !== state.frame) go({ frame: cine[place] });
    requestAnimationFrame(beat);
  }

  const step = (frames) => { play(false); go({ frame: (state.frame + frames + nFrames) % nFrames }); };
  const jump = (phase) => {
    const frame = data.frames.findIndex((one) => one.phase === phase);
    if (frame >= 0) { play(false); go({ frame }); }
  };
  const toggle = (id) => { at(id).checked = !at(id).checked; draw(); };

  /* Keys work inside the viewer, and, unless switched off, wherever no other control has the focus while the picture is in view. */
  const keys = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    ArrowUp: () => go({ slice: state.slice - 1 }), ArrowDown: () => go({ slice: state.slice + 1 }),
    " ": () => play(), Home: () => jump("ED"), End: () => jump("ES"),
    c: () => toggle("contours"), f: () => toggle("fill"), z: () => toggle("zoom"),
    e: () => nextMap("entropy"), s: () => nextMap("sigma"), w: () => nextMap("omega"),
  };
  const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", " ", "Home", "End"];

  function inView() {
    const { top, bottom } = at("stage").getBoundingClientRect();
    return top < window.innerHeight * 0.75 && bottom > window.innerHeight * 0.25;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const inside = at("viewer").contains(event.target);
    const anywhere = event.target === document.body && at("letters").checked && inView();
    const ownKeys = event.target.matches("input, select, button, summary, a") && ARROWS.includes(key);
    const typed = event.target.matches("select") || (key.length === 1 && key !== " " && !at("letters").checked);
    if (!keys[key] || ownKeys || typed || !(inside || anywhere)) return;
    event.preventDefault();
    keys[key]();
  });

  /* Mouse, pen and touch */
  let drag = null;
  at("stage").addEventListener("pointerdown", (event) => {
    if (event.button) return;
    drag = { x: event.clientX, y: event.clientY, slice: state.slice, frame: state.frame, axis: "" };
    at("stage").setPointerCapture(event.pointerId);
  });
  at("stage").addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.axis && Math.hypot(x, y) > 8) drag.axis = Math.abs(x) > Math.abs(y) ? "frame" : "slice";
    if (drag.axis === "slice") go({ slice: drag.slice + Math.round(y / STEP_PX) });
    if (drag.axis === "frame") {
      play(false);
      go({ frame: (((drag.frame + Math.round(x / STEP_PX)) % nFrames) + nFrames) % nFrames });
    }
  });
  for (const end of ["pointerup", "pointercancel"]) at("stage").addEventListener(end, () => { drag = null; });

  let rolled = 0;
  at("stage").addEventListener("wheel", (event) => {
    if (event.ctrlKey) return;
    const down = event.deltaY > 0;
    if (state.slice === (down ? data.slices - 1 : 0)) return; // at the end of the stack the page scrolls on
    event.preventDefault();
    rolled += event.deltaMode ? Math.sign(event.deltaY) * WHEEL_PX : event.deltaY;
    if (Math.abs(rolled) < WHEEL_PX) return;
    rolled = 0;
    go({ slice: state.slice + (down ? 1 : -1) });
  }, { passive: false });

  /* Controls */
  at("slice").max = data.slices;
  at("frame").max = nFrames;
  for (const id of ["slice", "slice-down", "slice-up"]) at(id).disabled = data.slices < 2;
  for (const id of ["frame", "frame-down", "frame-up", "play", "speed"]) at(id).disabled = nFrames < 2;
  for (const [id, phase] of [["to-ed", "ED"], ["to-es", "ES"]]) {
    at(id).disabled = !data.frames.some((frame) => frame.phase === phase);
    at(id).title = at(id).ariaLabel = `Go to ${phases[phase]}`;
    at(id).addEventListener("click", () => jump(phase));
  }
  at("slice").addEventListener("input", () => go({ slice: at("slice").valueAsNumber - 1 }));
  at("frame").addEventListener("input", () => { play(false); go({ frame: at("frame").valueAsNumber - 1 }); });
  at("slice-down").addEventListener("click", () => go({ slice: state.slice - 1 }));
  at("slice-up").addEventListener("click", () => go({ slice: state.slice + 1 }));
  at("frame-down").addEventListener("click", () => step(-1));
  at("frame-up").addEventListener("click", () => step(1));
  at("play").addEventListener("click", () => play());
  for (const id of ["contours", "fill", "zoom"]) at(id).addEventListener("change", draw);
  data.maps.forEach((map, place) => at("map").append(new Option(map.name, place)));
  at("map").disabled = !data.maps.length;
  at("map").addEventListener("change", () => choose(at("map").value));
  for (const id of ["brightness", "contrast"]) {
    at(id).addEventListener("input", () => {
      at("scan").style.filter = `brightness(${at("brightness").value}%) contrast(${at("contrast").value}%)`;
    });
  }
  new ResizeObserver(draw).observe(at("viewer"));
  window.addEventListener("resize", draw);

  jump("ED");
  go({});
  choose("");
  // The other slices load when the page stands, so that leafing through them does not wait.
  setTimeout(() => data.scan.forEach(imageOf), 0);
  return { go, data, stop: () => play(false), watch: (watcher) => { watchers.push(watcher); watcher(state.frame); } };
})();
