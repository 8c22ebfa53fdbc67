"""What is held of bodies: bounded for each and for all, and always given back."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.proxy.capture import Allowance, Capture


def test_a_body_comes_out_as_it_went_in_and_once():
    capture = Capture(10, Allowance(10))
    assert capture.add(b"hello")
    assert capture.add(memoryview(b"world"))
    assert capture.take_out() == b"helloworld"
    assert capture.take_out() == b""


def test_more_than_its_limit_is_not_held_at_all():
    allowance = Allowance(100)
    capture = Capture(10, allowance)
    assert capture.add(b"0123456789")
    assert not capture.add(b"x")
    assert capture.take_out() == b""
    assert allowance.take(100)


def test_what_one_holds_another_cannot():
    allowance = Allowance(10)
    first, second = Capture(10, allowance), Capture(10, allowance)
    assert first.add(b"12345678")
    assert not second.add(b"123")
    assert second.add(b"12")
    first.take_out()
    assert second.add(b"345678")


def test_a_capture_that_is_forgotten_gives_back_what_it_held():
    allowance = Allowance(10)
    capture = Capture(10, allowance)
    assert capture.add(b"0123456789")
    del capture
    assert allowance.take(10)


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40), st.booleans()), max_size=60))
def test_nothing_is_lost_of_the_allowance(steps):
    allowance = Allowance(100)
    captures = [Capture(50, allowance) for _ in range(4)]
    for which, piece, out in steps:
        captures[which].add(piece)
        if out:
            captures[which].take_out()
    captures.clear()
    assert allowance.take(100)
    assert not allowance.take(1)
