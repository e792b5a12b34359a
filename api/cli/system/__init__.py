"""Running and checking a whole system: supervisor, demo, doctor, and the secrets of a deployment."""
