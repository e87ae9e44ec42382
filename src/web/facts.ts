import { element, setText } from "./dom.ts";
import { KeyedList } from "./keyed-list.ts";

export interface Fact {
  readonly name: string;
  readonly text: string;
}

/** Names and what they are, in as many columns as there is room for. */
export class FactList {
  readonly root = element("dl", { class: "facts" });
  readonly #list = new KeyedList<Fact>(
    this.root,
    ({ name }) => name,
    () => {
      const [name, text] = [element("dt"), element("dd")];
      return {
        root: element("div", {}, name, text),
        update(fact) {
          setText(name, fact.name);
          setText(text, fact.text);
        },
      };
    },
  );

  update(facts: readonly Fact[]): void {
    this.#list.update(facts);
  }
}
