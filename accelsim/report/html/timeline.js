"use strict";
// The events of a run on a canvas: a row for each unit and port, below it what memories hold. Data: columns, rows sorted by start.
(() => {
  const ROW = 24, GAP = 4, LEFT = 120, AXIS = 24, CHART = 64, LEAST = 1;
  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });
  const bytes = (count) => {
    for (const [power, unit] of [[30, "GiB"], [20, "MiB"], [10, "KiB"]]) if (count >= 2 ** power) return `${number(count / 2 ** power)} ${unit}`;
    return `${number(count)} B`;
  };
  // A step of 1, 2 or 5 times a power of ten, so that marks are at least `room` pixels apart.
  const step = (span, width, room) => {
    const least = (span * room) / width, power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= least);
  };
  const hue = (index) => (index * 137.508 + 210) % 360;
  const build = (box) => {
    const data = JSON.parse(document.getElementById(box.dataset.events).textContent);
    const rows = data.tracks.map(() => ({ start: [], end: [], task: [], kind: [], firing: [] }));
    let last = 0;
    for (let i = 0; i < data.start.length; i++) {
      const row = rows[data.track[i]], end = data.start[i] + data.duration[i];
      row.start.push(data.start[i]); row.end.push(end); row.task.push(data.task[i]); row.kind.push(data.kind[i]); row.firing.push(data.firing[i]);
      if (end > last) last = end;
    }
    const BLOCK = 64;
    for (const row of rows) { // busy time up to each event, so that a pixel of many events takes two look-ups
      row.busy = new Float64Array(row.start.length + 1);
      for (let i = 0; i < row.start.length; i++) row.busy[i + 1] = row.busy[i] + row.end[i] - row.start[i];
    }
    const held = Object.entries(data.held);
    for (const [, curve] of held) { // the most of each block of points, so that a pixel of many points takes few look-ups
      curve.most = new Float64Array(Math.ceil(curve.bytes.length / BLOCK));
      curve.bytes.forEach((value, i) => { curve.most[(i / BLOCK) | 0] = Math.max(curve.most[(i / BLOCK) | 0], value); });
      curve.peak = curve.most.reduce((a, b) => Math.max(a, b), 0);
    }
    for (const [, curve] of held) last = Math.max(last, curve.time[curve.time.length - 1]);
    const whole = last || 1;
    const canvas = box.querySelector("canvas"), tip = box.querySelector(".tip"), output = box.querySelector("output");
    const pen = canvas.getContext("2d");
    const state = { from: 0, to: whole };
    let colours = {}, width = 0, asked = false;
    const height = AXIS + data.tracks.length * (ROW + GAP) + held.length * (CHART + GAP) + 4;
    const left = () => Math.min(LEFT, width * 0.28);
    const x = (time) => left() + ((time - state.from) / (state.to - state.from)) * (width - left());
    const time = (at) => state.from + ((at - left()) / (width - left())) * (state.to - state.from);
    const themed = () => {
      const style = getComputedStyle(document.documentElement);
      for (const name of ["ink", "soft", "line", "card", "limit", "busy"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
      const dark = style.colorScheme.includes("dark") && colours.card !== "#ffffff";
      colours.task = data.tasks.map((_, index) => `hsl(${hue(index)} 52% ${dark ? 58 : 47}%)`);
      box.querySelectorAll(".keys i").forEach((mark, index) => { mark.style.background = colours.task[index]; });
      draw();
    };
    // The first event that ends after a time: starts and ends both rise within a row.
    const first = (ends, from) => {
      let low = 0, high = ends.length;
      while (low < high) { const mid = (low + high) >> 1; if (ends[mid] > from) high = mid; else low = mid + 1; }
      return low;
    };
    const drawRow = (row, y) => {
      const each = (state.to - state.from) / (width - left()); // cycles of a pixel
      for (let i = first(row.end, state.from); i < row.start.length && row.start[i] < state.to; i++) {
        const begin = Math.max(x(row.start[i]), left()), end = Math.min(x(row.end[i]), width), wide = end - begin;
        if (wide < LEAST) { // events of one pixel, up to one that is wider: as dark as it is busy, in the colour of the longest of a few
          const pixel = Math.floor(begin), stop = Math.min(first(row.start, time(pixel + 1)), row.start.length);
          let next = Math.max(stop, i + 1), longest = i;
          if (row.end[next - 1] - row.start[next - 1] >= LEAST * each && next - 1 > i) next -= 1;
          const stride = Math.max(1, ((next - i) / 8) | 0);
          for (let at = i; at < next; at += stride) if (row.end[at] - row.start[at] >= row.end[longest] - row.start[longest]) longest = at;
          pen.globalAlpha = Math.min(1, Math.max(0.15, (row.busy[next] - row.busy[i]) / each));
          pen.fillStyle = colours.task[row.task[longest]]; pen.fillRect(pixel, y, 1, ROW);
          i = next - 1;
          continue;
        }
        pen.globalAlpha = 1; pen.fillStyle = colours.task[row.task[i]];
        pen.fillRect(begin, y, wide > 3 ? wide - 0.75 : wide, ROW);
        if (wide > 34) {
          const name = data.tasks[row.task[i]];
          if (pen.measureText(name).width < wide - 8) { pen.fillStyle = "#fff"; pen.fillText(name, begin + 4, y + ROW / 2 + 1); }
        }
      }
      pen.globalAlpha = 1;
    };
    const most = (curve, from, to) => {
      let high = 0;
      for (let i = from; i < to;) {
        if (i % BLOCK === 0 && i + BLOCK <= to) { high = Math.max(high, curve.most[i / BLOCK]); i += BLOCK; }
        else { high = Math.max(high, curve.bytes[i]); i += 1; }
      }
      return high;
    };
    const drawHeld = (curve, y) => {
      const top = curve.peak, base = y + CHART - 2, up = (value) => base - (value / (top || 1)) * (CHART - 8);
      pen.fillStyle = colours.busy; pen.globalAlpha = 0.35; pen.beginPath(); pen.moveTo(left(), base);
      const count = curve.time.length;
      let level = 0; // what is held until the next point
      for (let i = Math.max(0, first(curve.time, state.from) - 1); i < count && curve.time[i] <= state.to;) {
        const begin = Math.max(left(), x(curve.time[i])), next = i + 1 < count ? x(curve.time[i + 1]) : x(whole);
        pen.lineTo(begin, up(level));
        if (next - begin < 0.5) { // many points in a pixel: the most of them
          const stop = Math.max(i + 1, first(curve.time, time(Math.floor(begin) + 1)));
          const high = most(curve, i, Math.min(stop, count));
          pen.lineTo(begin, up(high)); pen.lineTo(Math.min(width, begin + 1), up(high));
          level = curve.bytes[Math.min(stop, count) - 1];
          pen.lineTo(Math.min(width, begin + 1), up(level));
          i = stop;
        } else {
          level = curve.bytes[i];
          pen.lineTo(begin, up(level));
          i += 1;
        }
      }
      pen.lineTo(Math.min(width, x(whole)), up(level));
      pen.lineTo(Math.min(width, x(whole)), base); pen.closePath(); pen.fill(); pen.globalAlpha = 1;
      pen.fillStyle = colours.soft; pen.textAlign = "right"; pen.fillText(bytes(top), width - 4, y + 8); pen.textAlign = "left";
    };
    const label = (text, y) => {
      pen.fillStyle = colours.card; pen.fillRect(0, y - 2, left(), ROW + 4);
      pen.fillStyle = colours.ink; let shown = text;
      while (shown.length > 3 && pen.measureText(shown).width > left() - 8) shown = shown.slice(0, -2) + "…";
      pen.fillText(shown, 0, y + ROW / 2 + 1);
    };
    const draw = () => {
      asked = false;
      if (!width) return;
      const scale = devicePixelRatio || 1;
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, width, height);
      pen.font = "12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"; pen.textBaseline = "middle"; pen.textAlign = "left";
      const span = state.to - state.from, mark = step(span, width - left(), 90);
      let free = 0; // from here on no number stands
      for (let at = Math.ceil(state.from / mark) * mark; at <= state.to; at += mark) {
        pen.fillStyle = colours.line; pen.fillRect(Math.round(x(at)), AXIS - 6, 1, height - AXIS + 6);
        const text = number(at), half = pen.measureText(text).width / 2, middle = Math.min(x(at), width - half);
        if (middle - half < free) continue;
        pen.fillStyle = colours.soft; pen.textAlign = "center"; pen.fillText(text, middle, 8);
        free = middle + half + 6;
      }
      pen.textAlign = "left";
      let y = AXIS;
      for (const row of rows) { drawRow(row, y); y += ROW + GAP; }
      for (const [, curve] of held) { drawHeld(curve, y); y += CHART + GAP; }
      y = AXIS;
      for (const name of data.tracks) { label(name, y); y += ROW + GAP; }
      for (const [name] of held) { label(name, y + CHART / 2 - ROW / 2); y += CHART + GAP; }
      output.textContent = `cycles ${number(state.from)} to ${number(state.to)} of ${number(whole)}`;
      box.dataset.from = state.from; box.dataset.to = state.to;
    };
    const later = () => { if (!asked) { asked = true; requestAnimationFrame(draw); } };
    const show = (from, to) => {
      const span = Math.min(whole, Math.max(to - from, whole / 1e7, 1e-3));
      state.from = Math.min(Math.max(0, from), whole - span); state.to = state.from + span;
      later();
    };
    const zoom = (factor, about) => show(about - (about - state.from) / factor, about + (state.to - about) / factor);
    const pan = (share) => { const by = share * (state.to - state.from); show(state.from + by, state.to + by); };
    const middle = () => (state.from + state.to) / 2;
    const at = (event) => { const edge = canvas.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(1.0015 ** -event.deltaY, time(at(event)[0])); }
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) { event.preventDefault(); pan((event.deltaX || event.deltaY) / width); }
    }, { passive: false });
    const fingers = new Map();
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, at(event)[0]); });
    const up = (event) => fingers.delete(event.pointerId);
    canvas.addEventListener("pointerup", up); canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointermove", (event) => {
      const [here, y] = at(event);
      if (!fingers.has(event.pointerId)) { hover(here, y); return; }
      tip.hidden = true;
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, where]) => where);
      const before = fingers.get(event.pointerId);
      fingers.set(event.pointerId, here);
      if (others.length) { // two fingers: what lies between them keeps lying there
        const apart = Math.max(8, Math.abs(before - others[0])), now = Math.max(8, Math.abs(here - others[0]));
        zoom(now / apart, time(others[0]));
      } else pan((before - here) / (width - left()));
    });
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
    canvas.addEventListener("dblclick", (event) => zoom(2.5, time(at(event)[0])));
    const hover = (here, y) => {
      const place = Math.floor((y - AXIS) / (ROW + GAP)), when = time(here);
      let says = "";
      if (here >= left() && place >= 0 && place < rows.length) {
        const row = rows[place], i = first(row.end, when);
        if (i < row.start.length && row.start[i] <= time(here + 1)) {
          const spent = row.end[i] - row.start[i];
          says = `${data.tasks[row.task[i]]}  (${data.kinds[row.kind[i]]}, firing ${row.firing[i]})\n${data.tracks[place]}: ${number(row.start[i])} to ${number(row.end[i])}, ${number(spent)} cycles`;
        }
      } else if (here >= left()) {
        const chart = held[Math.floor((y - AXIS - rows.length * (ROW + GAP)) / (CHART + GAP))];
        if (chart) { const i = first(chart[1].time, when) - 1; if (i >= 0) says = `${chart[0]}: ${bytes(chart[1].bytes[i])} at cycle ${number(when)}`; }
      }
      tip.hidden = !says; tip.textContent = says;
      if (says) { tip.style.top = `${y + canvas.offsetTop + 16}px`; tip.style.left = `${Math.max(0, Math.min(here + 12, width - tip.offsetWidth))}px`; }
    };
    const acts = { "+": () => zoom(2, middle()), "-": () => zoom(0.5, middle()), "←": () => pan(-0.25), "→": () => pan(0.25), "0": () => show(0, whole) };
    const keys = { "+": "+", "=": "+", "-": "-", ArrowLeft: "←", ArrowRight: "→", 0: "0" };
    canvas.addEventListener("keydown", (event) => { const act = keys[event.key]; if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); acts[act](); } });
    for (const button of box.querySelectorAll("button")) button.addEventListener("click", acts[button.dataset.act]);
    const fit = () => {
      width = box.clientWidth;
      const scale = devicePixelRatio || 1;
      canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale); canvas.style.height = `${height}px`;
      draw();
    };
    new ResizeObserver(fit).observe(box);
    document.addEventListener("themed", themed);
    addEventListener("beforeprint", fit);
    themed(); fit();
    box.dataset.ready = "true";
  };
  for (const box of document.querySelectorAll(".timeline")) build(box);
})();
