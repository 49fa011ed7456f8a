"""Random walks through everything a store can do, against a dict."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from model.atomic import AtomicStoreBesideDict


def walk(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        AtomicStoreBesideDict,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_store_is_a_dict_that_survives() -> None:
    walk(45, 40)


@pytest.mark.slow
def test_a_store_is_a_dict_that_survives_long_walks() -> None:
    walk(1000, 150)
