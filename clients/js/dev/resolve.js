// Resolves React from this folder in tests. The package's own folder must not contain it: a linked package would load a second React.
import { registerHooks } from "node:module";

registerHooks({
  resolve: (name, context, next) => next(name, name === "react" ? { ...context, parentURL: import.meta.url } : context),
});
