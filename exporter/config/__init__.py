"""`lmwatch.yml`: its typed model, and how it is read with errors that point at the place."""
