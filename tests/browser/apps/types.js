// Reads the OpenAPI document from the standard input, and writes the TypeScript types that cto-progress uses.
import { text } from "node:stream/consumers";
import openapiTypeScript, { astToString } from "openapi-typescript";

const JOBS = "/api/cto/jobs";
const { openapi, info, paths, components } = JSON.parse(await text(process.stdin));
const { operationId, parameters } = paths[JOBS].get;
delete components.schemas.OperationRequest.properties.platform.enum; // each market has its own platforms

const document = {
  openapi, info,
  paths: { [JOBS]: { get: { operationId, parameters, responses: {} } } }, // only the filters of the list of jobs
  components: { schemas: components.schemas },
};
process.stdout.write("// Generated from the gateway's OpenAPI document: run `make types`.\n");
process.stdout.write(astToString(await openapiTypeScript(document, { emptyObjectsUnknown: true })));
