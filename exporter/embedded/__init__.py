"""What lets lmwatch run where there is no LM Studio: an engine in process, a server shaped like LM Studio, a target to watch."""
