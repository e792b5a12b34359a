// Plays a run again from its recorded events.
import { html, useEffect, useRef, useState } from "/static/third_party/preact.js";
import { duration } from "/static/console/format.js";
import { T } from "/static/console/texts.js";

const SPEEDS = [0.5, 1, 2, 5, 10, 30, 60];
const STEP_MS = 10;
const X = T.replay;

/** The controls. `atMs` is the time since the start; `onMove` gets a new one. */
export function Replay({ atMs, totalMs, onMove, onLeave }) {
  const [speed, setSpeed] = useState(1);
  const [isPlaying, setPlaying] = useState(true);
  const isOver = atMs >= totalMs;
  const slider = useRef();
  useEffect(() => slider.current.focus({ preventScroll: true }), []); // the button that started it is gone
  useEffect(() => {
    if (!isPlaying || isOver) return undefined;
    let [frame, lastMs] = [0, performance.now()];
    const step = (nowMs) => {
      const passedMs = (nowMs - lastMs) * speed;
      lastMs = nowMs;
      onMove((before) => Math.min(totalMs, before + Math.max(0, passedMs)));
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [isPlaying, isOver, speed, totalMs]);
  const toggle = () => {
    if (isOver) onMove(() => 0);
    setPlaying(isOver || !isPlaying);
  };
  return html`<div class="replay panel" role="group" aria-label=${X.title}>
    <button class="primary" type="button" onClick=${toggle}>${isPlaying && !isOver ? X.pause : X.play}</button>
    <input ref=${slider} type="range" min="0" max=${totalMs} step=${STEP_MS} value=${atMs} aria-label=${X.position} aria-valuetext=${X.at(duration(atMs), duration(totalMs))}
      onInput=${({ target }) => {
        setPlaying(false);
        onMove(() => Number(target.value));
      }} />
    <span class="number position">${X.at(duration(atMs), duration(totalMs))}</span>
    <label class="hidden" for="speed">${X.speed}</label>
    <select id="speed" value=${speed} onChange=${({ target }) => setSpeed(Number(target.value))}>${SPEEDS.map((each) => html`<option value=${each}>${each}×</option>`)}</select>
    <button type="button" onClick=${onLeave}>${X.leave}</button></div>`;
}
