"""What the console counts."""

from serve.framework.metrics import REQUEST_MS, REQUESTS, Metric

SIGN_INS = Metric("forewarn_console_sign_ins", "sign-ins, by how they ended", ("outcome",))
ACTIONS = Metric("forewarn_console_actions", "what people did from pages", ("action", "outcome"))
INSTRUMENTS = (REQUESTS, REQUEST_MS, SIGN_INS, ACTIONS)
