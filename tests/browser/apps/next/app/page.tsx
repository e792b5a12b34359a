// A server component. It may import every part of the package, but it cannot create a client for the browser.
import { statsOf } from "cto-progress";
import { CTOProgress } from "cto-progress/element";
import { CTOProvider } from "cto-progress/react";
import { Operation } from "./operation";

const imported = [CTOProgress, CTOProvider].map((part) => typeof part).join(" and ");

export default function Page() {
  return <main><p>{statsOf([]).total} operations on the server, {imported}</p><Operation /></main>;
}
