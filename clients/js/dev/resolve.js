// Lets the tests' Node find React: the package's own folder must have none, or a linked copy would bring a second one.
import { registerHooks } from "node:module";

registerHooks({
  resolve: (name, context, next) => next(name, name === "react" ? { ...context, parentURL: import.meta.url } : context),
});
