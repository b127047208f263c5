"""The product: one module a subject, the same files in each (model, queries, service, api, pages)."""
