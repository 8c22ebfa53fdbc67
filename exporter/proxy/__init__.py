"""The metering proxy: everything passes through to LM Studio unchanged, and what passes is counted."""
