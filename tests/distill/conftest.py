"""A batch of final states and tokens."""

import pytest
import torch

from akd.distill.losses.vocabulary import CHUNK
from tests.distill.token_batch import BATCH, LENGTH, VOCABULARY, WIDTH


@pytest.fixture
def hidden() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(BATCH, LENGTH, WIDTH)


@pytest.fixture
def tokens() -> torch.Tensor:
    torch.manual_seed(2)
    return torch.randint(0, VOCABULARY, (BATCH, LENGTH))


@pytest.fixture
def counted() -> torch.Tensor:
    """Articles of different lengths that begin after two tokens of the prompt."""
    position = torch.arange(LENGTH)
    inside = (position >= 2) & (position < torch.tensor([[60], [55], [40]]))
    assert inside.sum() > 2 * CHUNK  # more than two chunks, the last of them not full
    return inside
