"""Fixtures of the tests of the bridge."""

import contextlib

import pytest
from strict_receiver import StrictReceiver
from webhook_world import World


@pytest.fixture
def receiver():
    with StrictReceiver() as strict:
        yield strict


@pytest.fixture
def make_world(receiver):
    """Makes worlds that are closed at the end, before their receiver."""
    with contextlib.ExitStack() as stack:

        def make(path=None, **settings) -> World:
            world = World(path, **settings)
            stack.callback(world.close)
            return world

        yield make


@pytest.fixture
def world(make_world, receiver):
    """A world that sends on."""
    return make_world(forward_to=receiver.url)
