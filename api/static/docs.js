// Shows /openapi.json and /asyncapi.json. All text is set as text, never as markup.
const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// `code` between backticks is shown as such.
function prose(name, text, properties = {}) {
  const parts = text.split("`").map((part, index) => (index % 2 ? element("code", { textContent: part }) : part));
  return element(name, properties, ...parts);
}

function resolve(spec, node) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((found, name) => found[name.replaceAll("~1", "/")], spec);
}

function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(kind).join(" | ");
  if (schema.allOf) return schema.allOf.map(kind).filter(Boolean).join(" & ");
  if (schema.type === "array") return `${kind(schema.items)}[]`;
  const low = schema.minimum ?? schema.exclusiveMinimum ?? schema.minLength ?? schema.minItems;
  const high = schema.maximum ?? schema.maxLength ?? schema.maxItems;
  const range = low === undefined && high === undefined ? "" : ` ${low ?? "…"}–${high ?? "…"}`;
  return [schema.type ?? (schema.properties ? "" : "anything")].flat().join(" | ") + range;
}

function table(rows) {
  return element("table", {}, ...rows.map(([name, type, about]) => element("tr", {},
    element("td", {}, element("code", { textContent: name })),
    element("td", {}, element("code", { textContent: type })),
    prose("td", about))));
}

function fields(schema) {
  const required = new Set(schema.required);
  return table(Object.entries(schema.properties ?? {}).map(([name, property]) => [
    name + (required.has(name) ? "" : "?"),
    kind(property) + (property.pattern ? ` ${property.pattern}` : ""),
    property.description ?? "",
  ]));
}

function sample(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return element("pre", { tabIndex: 0 }, element("code", { textContent: text }));
}

function titled(title, ...content) {
  return [element("h3", { textContent: title }), ...content];
}

function answer(spec, status, given) {
  const response = resolve(spec, given);
  const content = Object.entries(response.content ?? {});
  const headers = Object.entries(response.headers ?? {}).map(([name, header]) => [name, "header", resolve(spec, header).description]);
  const shown = element("details", {},
    element("summary", {}, element("b", { textContent: status }), " ", prose("span", response.description, { className: "about" })),
    headers.length ? table(headers) : null,
    ...content.flatMap(([type, { schema, example }]) => [
      element("p", {}, element("code", { textContent: type }), " ", kind(schema?.properties?.data ?? schema)),
      example === undefined ? null : sample(example),
    ]));
  shown.dataset.status = status;
  return shown;
}

function operation(spec, path, method, described) {
  const body = described.requestBody?.content["application/json"];
  const parameters = (described.parameters ?? []).map((given) => resolve(spec, given)).map((parameter) => [
    parameter.name + (parameter.required ? "" : "?"),
    `${parameter.in}: ${kind(parameter.schema)}`,
    `${parameter.description}. Such as \`${parameter.example}\`.`,
  ]);
  const shown = described.security?.map((one) => Object.keys(one)[0]).join(" or ") || "nobody need say who they are";
  return element("details", { id: described.operationId },
    element("summary", {}, element("b", { textContent: method.toUpperCase() }), " ", element("code", { textContent: path }), " ",
      element("span", { className: "about", textContent: described.summary })),
    described.description ? prose("p", described.description) : null,
    element("p", { textContent: `Token: ${shown}` }),
    ...(parameters.length ? titled("Parameters", table(parameters)) : []),
    ...(body ? titled("Body", fields(resolve(spec, body.schema)), sample(body.example)) : []),
    ...titled("Answers", ...Object.entries(described.responses).map(([status, given]) => answer(spec, status, given))));
}

function message(spec, reference) {
  const described = resolve(spec, reference);
  const payload = resolve(spec, described.payload);
  return element("details", {},
    element("summary", {}, element("code", { textContent: described.name }), " ", prose("span", described.summary, { className: "about" })),
    payload.properties ? fields(payload) : element("p", { textContent: kind(payload) }),
    ...described.examples.map((example) => sample(example.payload)));
}

function exchange(spec, name, described) {
  const asked = described.action === "receive";
  return element("details", { id: name },
    element("summary", {}, element("b", { textContent: asked ? "send" : "get" }), " ",
      element("code", { textContent: resolve(spec, described.messages[0]).name }), " ",
      element("span", { className: "about", textContent: described.summary })),
    ...described.messages.map((given) => message(spec, given)),
    ...(described.reply ? titled("Answers", ...described.reply.messages.map((given) => message(spec, given))) : []));
}

function sections(spec, socketSpec) {
  const operations = Object.entries(spec.paths).flatMap(([path, methods]) => METHODS.filter((method) => methods[method])
    .map((method) => ({ path, method, described: methods[method] })));
  const rest = spec.tags.map((tag) => ({
    title: tag.name,
    about: tag.description,
    items: operations.filter(({ described }) => described.tags.includes(tag.name)).map(({ path, method, described }) => ({
      label: described.summary, id: described.operationId, shown: operation(spec, path, method, described),
    })),
  }));
  const sockets = Object.entries(socketSpec.channels).map(([channel, { title, description }]) => ({
    title,
    about: description,
    items: Object.entries(socketSpec.operations).filter(([, { channel: at }]) => at.$ref === `#/channels/${channel}`)
      .map(([name, described]) => ({ label: described.summary, id: name, shown: exchange(socketSpec, name, described) })),
  }));
  const schemas = Object.entries(spec.components.schemas).map(([name, schema]) => ({
    label: name,
    id: `schema-${name}`,
    shown: element("details", { id: `schema-${name}` }, element("summary", {}, element("code", { textContent: name })), fields(schema)),
  }));
  return [...rest, ...sockets, { title: "Schemas", about: "A field with ? may be missing.", items: schemas }];
}

function open() {
  const chosen = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (chosen instanceof HTMLDetailsElement) {
    chosen.open = true;
    chosen.scrollIntoView();
  }
}

async function read(address) {
  const answered = await fetch(address);
  if (!answered.ok) throw new Error(`${address}: ${answered.status}`);
  return answered.json();
}

try {
  const [spec, socketSpec] = await Promise.all([read("/openapi.json"), read("/asyncapi.json")]);
  const shown = sections(spec, socketSpec);
  document.getElementById("contents").append(...shown.flatMap(({ title, items }) => [
    element("h3", { textContent: title }),
    element("ul", {}, ...items.map(({ label, id }) => element("li", {}, element("a", { href: `#${id}`, textContent: label })))),
  ]));
  document.getElementById("reference").replaceChildren(prose("p", spec.info.description),
    ...shown.flatMap(({ title, about, items }) => [
      element("h2", { textContent: title }), prose("p", about), ...items.map((item) => item.shown),
    ]));
  addEventListener("hashchange", open);
  open();
} catch (error) {
  document.getElementById("state").textContent = `The documents cannot be read: ${error.message}`;
}
