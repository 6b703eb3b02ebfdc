"""U-Net34 and ResNet34 in plain PyTorch: the reference that Dermatome is compared with, with the same state-dict keys.

Encoder keys are torchvision's resnet34 without a prefix (conv1, bn1, layer1.0.conv1, layer2.0.downsample.0, ...); decoder keys are
fastai 0.7's (up1.x_conv, up1.tr_conv, up1.bn, ..., up5). torchvision itself is not needed.
"""
import math

import torch
from torch import nn
from torch.nn import functional

UNET34_PARAMETERS = 22_009_665
ENCODER_STAGES = (("layer1", 64, 3), ("layer2", 128, 4), ("layer3", 256, 6), ("layer4", 512, 3))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015, figure 2); the first block of a stage may halve the resolution."""

    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet34Encoder(nn.Module):
    """The convolutional part of ResNet34; stem() to layer4 as attributes, so that subclasses add their head beside them."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        in_channels = 64
        for name, channels, count in ENCODER_STAGES:
            first_stride = 1 if name == "layer1" else 2
            blocks = [BasicBlock(in_channels, channels, first_stride)]
            blocks += [BasicBlock(channels, channels, 1) for _ in range(count - 1)]
            setattr(self, name, nn.Sequential(*blocks))
            in_channels = channels

    def encode(self, image):
        """Feature maps at /2 (after the stem's ReLU), /4, /8, /16 and /32."""
        stem = functional.relu(self.bn1(self.conv1(image)))
        layer1 = self.layer1(functional.max_pool2d(stem, 3, stride=2, padding=1))
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        return stem, layer1, layer2, layer3, self.layer4(layer3)


class UnetBlock(nn.Module):
    """BN(ReLU(concat[ConvTranspose2x2/2(up), Conv1x1(skip)])), the upsampled half first."""

    def __init__(self, up_in, skip_in, out):
        super().__init__()
        self.x_conv = nn.Conv2d(skip_in, out // 2, 1)
        self.tr_conv = nn.ConvTranspose2d(up_in, out // 2, 2, stride=2)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, up, skip):
        return self.bn(functional.relu(torch.cat([self.tr_conv(up), self.x_conv(skip)], dim=1)))


class UNet34(ResNet34Encoder):
    """ResNet34 encoder, four UnetBlocks, and the small head: one transposed convolution to a map of logits [N, 1, H, W]."""

    def __init__(self):
        super().__init__()
        self.up1 = UnetBlock(512, 256, 256)
        self.up2 = UnetBlock(256, 128, 256)
        self.up3 = UnetBlock(256, 64, 256)
        self.up4 = UnetBlock(256, 64, 256)
        self.up5 = nn.ConvTranspose2d(256, 1, 2, stride=2)

    def forward(self, image):
        stem, layer1, layer2, layer3, layer4 = self.encode(image)
        x = functional.relu(layer4)
        x = self.up1(x, layer3)
        x = self.up2(x, layer2)
        x = self.up3(x, layer1)
        x = self.up4(x, stem)
        return self.up5(x)


class ResNet34(ResNet34Encoder):
    """The classifier: the encoder, a global average pool and one linear layer."""

    def __init__(self, classes=1000):
        super().__init__()
        self.fc = nn.Linear(512, classes)

    def forward(self, image):
        return self.fc(self.encode(image)[-1].mean(dim=(2, 3)))


def is_decoder_key(key):
    return key.startswith("up")


def initialise(model):
    """Random start: torchvision's for the encoder, torch 0.3's bounds for the decoder (bias and transposed convolutions included).

    Torch 0.3 bounds every (transposed) convolution by 1/sqrt(input channels * k * k); newer versions take the output channels for
    transposed ones. Draws from the global generator, in the order of model.named_modules().
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            if is_decoder_key(name):
                bound = 1 / math.sqrt(module.in_channels * module.kernel_size[0] * module.kernel_size[1])
                nn.init.uniform_(module.weight, -bound, bound)
                nn.init.uniform_(module.bias, -bound, bound)
            else:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def parameter_count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def main():
    torch.set_num_threads(1)
    model = initialise(UNet34())
    assert parameter_count(model) == UNET34_PARAMETERS, parameter_count(model)
    assert parameter_count(ResNet34()) == 21_797_672
    assert model.eval()(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)
    for key, value in model.state_dict().items():
        print(key, tuple(value.shape))
    print(f"{parameter_count(model):,} parameters")


if __name__ == "__main__":
    main()
