"""From a screened group to a checked verdict: snapshot, prompt, one bounded call, checks, combination."""
