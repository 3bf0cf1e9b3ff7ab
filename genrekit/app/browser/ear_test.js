// A button for each sound of an ear test; one sound at a time.

export default function ({ parentElement, data }) {
  const sounds = parentElement.querySelector("[data-part=sounds]");
  const audio = parentElement.querySelector("[data-part=sound]");
  const stop = () => {
    audio.pause();
    for (const one of sounds.children) one.style.removeProperty("--at");
  };
  if (sounds.dataset.shown === JSON.stringify(data)) return stop;
  stop();
  sounds.dataset.shown = JSON.stringify(data);
  sounds.replaceChildren(...Object.entries(data).map(([name, url]) => {
    const button = document.createElement("button");
    button.textContent = `▶ ${name}`;
    button.dataset.url = url;
    button.onclick = () => {
      stop();
      audio.src = url;
      audio.play().catch(() => { button.textContent = "This browser cannot play it"; });
      follow(button);
    };
    return button;
  }));
  const follow = (button) => {
    if (audio.getAttribute("src") !== button.dataset.url || audio.ended) return stop();
    button.style.setProperty("--at", audio.currentTime / (audio.duration || 1));
    requestAnimationFrame(() => follow(button));
  };
  return stop;
}
