// Renders /openapi.json and /asyncapi.json. All text is set as text, never as markup.
const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Renders text between backticks as code.
function prose(name, text, properties = {}) {
  const parts = text.split("`").map((part, index) => (index % 2 ? element("code", { textContent: part }) : part));
  return element(name, properties, ...parts);
}

function resolve(spec, node) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((parent, name) => parent[name.replaceAll("~1", "/")], spec);
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.allOf) return schema.allOf.map(typeOf).filter(Boolean).join(" & ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  const low = schema.minimum ?? schema.exclusiveMinimum ?? schema.minLength ?? schema.minItems;
  const high = schema.maximum ?? schema.maxLength ?? schema.maxItems;
  const range = low === undefined && high === undefined ? "" : ` ${low ?? "…"}–${high ?? "…"}`;
  return [schema.type ?? (schema.properties ? "" : "anything")].flat().join(" | ") + range;
}

function table(rows) {
  return element("table", {}, ...rows.map(([name, type, description]) => element("tr", {},
    element("td", {}, element("code", { textContent: name })),
    element("td", {}, element("code", { textContent: type })),
    prose("td", description))));
}

function fields(schema) {
  const required = new Set(schema.required);
  return table(Object.entries(schema.properties ?? {}).map(([name, property]) => [
    name + (required.has(name) ? "" : "?"),
    typeOf(property) + (property.pattern ? ` ${property.pattern}` : ""),
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

function renderResponse(spec, status, reference) {
  const response = resolve(spec, reference);
  const content = Object.entries(response.content ?? {});
  const headers = Object.entries(response.headers ?? {}).map(([name, header]) => [name, "header", resolve(spec, header).description]);
  const node = element("details", {},
    element("summary", {}, element("b", { textContent: status }), " ", prose("span", response.description, { className: "description" })),
    headers.length ? table(headers) : null,
    ...content.flatMap(([type, { schema, example }]) => [
      element("p", {}, element("code", { textContent: type }), " ", typeOf(schema?.properties?.data ?? schema)),
      example === undefined ? null : sample(example),
    ]));
  node.dataset.status = status;
  return node;
}

function renderOperation(spec, path, method, operation) {
  const body = operation.requestBody?.content["application/json"];
  const parameters = (operation.parameters ?? []).map((reference) => resolve(spec, reference)).map((parameter) => [
    parameter.name + (parameter.required ? "" : "?"),
    `${parameter.in}: ${typeOf(parameter.schema)}`,
    `${parameter.description}. Example: \`${parameter.example}\`.`,
  ]);
  const schemes = operation.security?.map((requirement) => Object.keys(requirement)[0]).join(" or ") || "none";
  return element("details", { id: operation.operationId },
    element("summary", {}, element("b", { textContent: method.toUpperCase() }), " ", element("code", { textContent: path }), " ",
      element("span", { className: "description", textContent: operation.summary })),
    operation.description ? prose("p", operation.description) : null,
    element("p", { textContent: `Authentication: ${schemes}` }),
    ...(parameters.length ? titled("Parameters", table(parameters)) : []),
    ...(body ? titled("Body", fields(resolve(spec, body.schema)), sample(body.example)) : []),
    ...titled("Responses", ...Object.entries(operation.responses).map(([status, response]) => renderResponse(spec, status, response))));
}

function renderMessage(spec, reference) {
  const message = resolve(spec, reference);
  const payload = resolve(spec, message.payload);
  return element("details", {},
    element("summary", {}, element("code", { textContent: message.name }), " ", prose("span", message.summary, { className: "description" })),
    payload.properties ? fields(payload) : element("p", { textContent: typeOf(payload) }),
    ...message.examples.map((example) => sample(example.payload)));
}

function renderSocketOperation(spec, name, operation) {
  const isSent = operation.action === "receive"; // the gateway receives what a client sends
  return element("details", { id: name },
    element("summary", {}, element("b", { textContent: isSent ? "send" : "receive" }), " ",
      element("code", { textContent: resolve(spec, operation.messages[0]).name }), " ",
      element("span", { className: "description", textContent: operation.summary })),
    ...operation.messages.map((reference) => renderMessage(spec, reference)),
    ...(operation.reply ? titled("Responses", ...operation.reply.messages.map((reference) => renderMessage(spec, reference))) : []));
}

function sections(spec, socketSpec) {
  const operations = Object.entries(spec.paths).flatMap(([path, methods]) => METHODS.filter((method) => methods[method])
    .map((method) => ({ path, method, operation: methods[method] })));
  const rest = spec.tags.map((tag) => ({
    title: tag.name,
    description: tag.description,
    items: operations.filter(({ operation }) => operation.tags.includes(tag.name)).map(({ path, method, operation }) => ({
      label: operation.summary, id: operation.operationId, node: renderOperation(spec, path, method, operation),
    })),
  }));
  const sockets = Object.entries(socketSpec.channels).map(([channel, { title, description }]) => ({
    title,
    description,
    items: Object.entries(socketSpec.operations).filter(([, operation]) => operation.channel.$ref === `#/channels/${channel}`)
      .map(([name, operation]) => ({ label: operation.summary, id: name, node: renderSocketOperation(socketSpec, name, operation) })),
  }));
  const schemas = Object.entries(spec.components.schemas).map(([name, schema]) => ({
    label: name,
    id: `schema-${name}`,
    node: element("details", { id: `schema-${name}` }, element("summary", {}, element("code", { textContent: name })), fields(schema)),
  }));
  return [...rest, ...sockets, { title: "Schemas", description: "Fields with ? are optional.", items: schemas }];
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

async function load(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  return response.json();
}

try {
  const [spec, socketSpec] = await Promise.all([load("/openapi.json"), load("/asyncapi.json")]);
  const all = sections(spec, socketSpec);
  document.getElementById("contents").append(...all.flatMap(({ title, items }) => [
    element("h3", { textContent: title }),
    element("ul", {}, ...items.map(({ label, id }) => element("li", {}, element("a", { href: `#${id}`, textContent: label })))),
  ]));
  document.getElementById("reference").replaceChildren(prose("p", spec.info.description),
    ...all.flatMap(({ title, description, items }) => [
      element("h2", { textContent: title }), prose("p", description), ...items.map((item) => item.node),
    ]));
  addEventListener("hashchange", openTarget);
  openTarget();
} catch (error) {
  document.getElementById("state").textContent = `Cannot load the API documents: ${error.message}. Reload the page.`;
}
