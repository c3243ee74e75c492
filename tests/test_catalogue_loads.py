"""Every file of the catalogue loads. Where one does not, this alone is run."""

from __future__ import annotations

import pytest

from tests import loading


@pytest.mark.parametrize("file", loading.files())
def test_every_file_loads(file: str) -> None:
    loading.load(file)
