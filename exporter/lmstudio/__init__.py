"""Talking to LM Studio and to any OpenAI-compatible server: health, streamed chat, failures, the pool of servers."""
