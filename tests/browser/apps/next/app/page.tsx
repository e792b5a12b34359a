// A server component. It may import all parts of the package, but it cannot create a client for the browser.
import { statsOf } from "cto-progress";
import "cto-progress/element";
import "cto-progress/react";
import { Operation } from "./operation";

export default function Page() {
  return <main><p>{statsOf([]).total} operations on the server</p><Operation /></main>;
}
