"""A tool that is not there: a failure in continuous integration, a skip at a desk."""

import pytest

from tests import conftest


@pytest.mark.parametrize(("in_ci", "outcome"), [(True, pytest.fail.Exception), (False, pytest.skip.Exception)])
def test_a_missing_tool(monkeypatch: pytest.MonkeyPatch, in_ci: bool, outcome: type[BaseException]) -> None:
    monkeypatch.setattr(conftest, "IN_CI", in_ci)
    with pytest.raises(outcome, match="tmux is missing"):
        conftest.missing("tmux")
