// What moves by hand: computed here while it is held, by the server once it is let go.

// The function that a component exports: one view for each place on a page.
export function mounted(View) {
  const views = new WeakMap();
  return ({ parentElement, data, setTriggerValue }) => {
    if (!views.has(parentElement)) views.set(parentElement, new View(parentElement));
    const view = views.get(parentElement);
    view.send = setTriggerValue;
    view.receive(data);
    return () => view.rest();
  };
}

export const parts = (root) =>
  Object.fromEntries([...root.querySelectorAll("[data-part]")].map((node) => [node.dataset.part, node]));

// Has `values` and draws the result that `compute` finds for them, or the server's for the same.
export class Exhibit {
  constructor(root) {
    this.part = parts(root);
    this.watcher = new ResizeObserver(() => this.data && this.draw(this.result));
  }

  receive(data) {
    this.watcher.observe(this.part.view);
    // While something is held, or newer values are on their way, older ones are no news.
    if (this.held || (this.sent && this.sent !== JSON.stringify(data.values))) return;
    this.sent = null;
    if (!this.data) this.prepare(data);
    this.data = data;
    this.values = data.values;
    this.picture.setAttribute("aria-label", data.label);
    this.draw(data.core);
    this.part.view.inert = false;
  }

  prepare() {}

  rest() { this.watcher.disconnect(); }

  hold(values) {
    this.held = true;
    this.values = { ...this.values, ...values };
    this.draw();
  }

  release() {
    this.held = false;
    this.sent = JSON.stringify(this.values);
    this.draw();
    this.send("settings", this.values);
  }

  change(values) {
    this.hold(values);
    this.release();
  }
}
