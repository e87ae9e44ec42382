/** A piece of the page that shows one item and goes on showing it as it changes. */
export interface View<Item> {
  readonly root: Element;
  update(item: Item): void;
}

/** The children of one element, a view for each item: whoever stays keeps its element, and with it focus and selection. */
export class KeyedList<Item> {
  readonly #parent: Element;
  readonly #keyOf: (item: Item) => string;
  readonly #create: (item: Item) => View<Item>;
  #views = new Map<string, View<Item>>();

  constructor(parent: Element, keyOf: (item: Item) => string, create: (item: Item) => View<Item>) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#create = create;
  }

  update(items: readonly Item[]): void {
    const views = new Map<string, View<Item>>();
    for (const item of items) {
      const key = this.#keyOf(item);
      const view = this.#views.get(key) ?? this.#create(item);
      views.set(key, view);
      view.update(item);
    }
    for (const [key, { root }] of this.#views) if (!views.has(key)) root.remove();
    this.#views = views;
    this.#order();
  }

  /** Moves only what does not stand where it should. */
  #order(): void {
    let next = this.#parent.firstElementChild;
    for (const { root } of this.#views.values()) {
      if (root === next) next = next.nextElementSibling;
      else this.#parent.insertBefore(root, next);
    }
  }
}
