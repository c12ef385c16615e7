"""A circuit breaker opens after failures and closes after a trial that succeeds."""

from lib.concurrency.circuit_breaker import CircuitBreaker


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_trial_through() -> None:
    now = [0.0]
    breaker = CircuitBreaker(failures=2, rest=1.0, clock=lambda: now[0])
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    assert breaker.open
    now[0] = 1.5
    assert not breaker.open  # a trial is due: who waits for that asks now
    assert [breaker.allows(), breaker.allows()] == [True, False]
    assert breaker.open
    breaker.succeeded()
    assert breaker.allows()
