"""The backbone's front end, compared with convolutions over the whole picture."""

import pytest
import torch
from torch.nn.functional import conv2d, pad

from genrekit.model.backbone import EVERYDAY_PARAMS, Backbone, Everyday


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    network = Backbone().eval()
    for part in network.front:
        torch.nn.init.normal_(part.filter.bias)
        torch.nn.init.normal_(part.norm.weight)  # some gains are negative
        torch.nn.init.normal_(part.norm.bias)
    return network


def published(part, x):
    """Filter, rectify, normalise, then take the maximum over the bands: as musicnn does."""
    weight = part.filter.weight
    rhythm = weight.shape[1] == 1
    frames = weight.shape[2]
    kernel = weight[:, :, None] if rhythm else weight[:, None]  # (filters, 1, bands, frames)
    picture = pad(x, ((frames - 1) // 2, frames // 2))[:, None]
    y = conv2d(picture, kernel, part.filter.bias).relu()
    norm = part.norm
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    y = (y - norm.running_mean[:, None, None]) * gain[:, None, None] + norm.bias[:, None, None]
    return y.amax(dim=2)


def test_the_front_end_is_the_published_one(backbone):
    x = torch.randn(3, 96, 188)
    with torch.inference_mode():
        for part in backbone.front:
            torch.testing.assert_close(part(x), published(part, x), rtol=1e-4, atol=1e-4)


def test_the_level_does_not_matter(backbone):
    torch.manual_seed(1)
    x = 12 * torch.randn(2, *EVERYDAY_PARAMS.shape) - 30
    with torch.inference_mode():
        torch.testing.assert_close(backbone(x + 12), backbone(x), rtol=1e-3, atol=1e-3)


def test_many_segments_are_judged_as_each_alone():
    torch.manual_seed(2)
    network = Everyday(EVERYDAY_PARAMS.shape, 3).eval()
    x = 12 * torch.randn(10, *EVERYDAY_PARAMS.shape) - 30
    with torch.inference_mode():
        together, alone = network(x), torch.cat([network(one) for one in x.split(1)])
    assert together.shape == (10, 4)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
