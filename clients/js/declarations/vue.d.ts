import type { HTMLAttributes, ReservedProps } from "vue";
import type { CTOProgressAttributes } from "./element.js";
import type { ProgressEvent } from "../types/types.js";

export * from "../types/vue.js";

type ElementProps = HTMLAttributes & ReservedProps & CTOProgressAttributes & {
  onCtoProgress?: (event: CustomEvent<ProgressEvent>) => void;
  onCtoComplete?: (event: CustomEvent<ProgressEvent>) => void;
};

declare module "vue" {
  interface GlobalComponents {
    "cto-progress": new () => { $props: ElementProps };
  }
}

declare module "vue/jsx-runtime" {
  namespace JSX {
    interface IntrinsicElements {
      "cto-progress": ElementProps;
    }
  }
}
