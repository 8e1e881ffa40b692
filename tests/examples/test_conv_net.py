"""The convolutional net."""

from typing import ClassVar

import pytest
import torch
from model_suite import NUMBERS, ModelSuite, make_schema

from project.examples.conv_net import ConvNet


class TestConvNet(ModelSuite):
    model = ConvNet
    settings: ClassVar = {"image_size": 12}
    columns = NUMBERS  # an image of 4 by 4 pixels

    @pytest.mark.parametrize(
        ("num_columns", "image_size", "message"),
        [(15, 32, "15 columns"), (16, 30, "multiple of 4"), (16, 8, "at least 10")],
    )
    def test_says_which_images_it_takes(self, num_columns, image_size, message):
        with pytest.raises(ValueError, match=message):
            ConvNet(make_schema(columns=NUMBERS[:num_columns]), image_size=image_size)

    @pytest.mark.parametrize("image_size", [16, 32])
    def test_takes_other_sizes(self, image_size):
        assert ConvNet(make_schema("multiclass"), image_size=image_size)(torch.randn(2, 16)).shape == (2, 3)
