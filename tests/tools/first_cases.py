"""A plugin of pytest for the forks under test: each test runs with the first of its cases."""

import pytest


@pytest.hookimpl(trylast=True)  # when the slow ones are left out already
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first: dict[tuple[object, ...], pytest.Item] = {}
    for item in items:
        first.setdefault((item.parent, getattr(item, "originalname", item.name)), item)
    items[:] = first.values()
