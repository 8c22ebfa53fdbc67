"""`lmwatch demo`: the whole of lmwatch on one machine, with a model inside the process and anomalies planted on purpose."""
