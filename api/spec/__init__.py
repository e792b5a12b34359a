"""The published OpenAPI and AsyncAPI documents."""
