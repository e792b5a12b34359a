"""The published OpenAPI and AsyncAPI documents, and the generated parts of docs/reference/."""
