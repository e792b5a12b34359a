import type { DetailedHTMLProps, HTMLAttributes } from "react";
import type { CTOProgress, CTOProgressAttributes } from "./element.js";
import type { ProgressEvent } from "../types/types.js";

export * from "../types/react.js";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "cto-progress": DetailedHTMLProps<HTMLAttributes<CTOProgress>, CTOProgress> & CTOProgressAttributes & {
        "oncto-progress"?: (event: CustomEvent<ProgressEvent>) => void;
        "oncto-complete"?: (event: CustomEvent<ProgressEvent>) => void;
      };
    }
  }
}
