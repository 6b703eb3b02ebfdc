"""The "default" augmentation preset on a whole batch: one affine warp for image and mask, then lighting and normalisation.

Each sample draws a dihedral transform, a horizontal flip, a rotation with reflected border and a zoom about a centre that stays
inside; they are composed to one matrix, so that the pixels are interpolated once.
"""
import math

import torch
from torch.nn import functional

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
MAX_ROTATION_DEGREES = 44.0
MAX_ZOOM = 1.05
MAX_LIGHTING = 0.05
ROTATION_PROBABILITY = 0.75
ZOOM_PROBABILITY = 0.75


def normalise(images):
    """Images in [0, 1] to ImageNet's zero mean and unit variance."""
    return (images - IMAGENET_MEAN) / IMAGENET_STD


def uniform(count, low, high, generator):
    return low + (high - low) * torch.rand(count, generator=generator)


def happens(count, probability, generator):
    return torch.rand(count, generator=generator) < probability


def rotation_matrices(angles):
    cos, sin = torch.cos(angles), torch.sin(angles)
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)


def flip_matrices(flipped):
    """Mirrors x where flipped is true."""
    matrices = torch.eye(2).repeat(len(flipped), 1, 1)
    matrices[:, 0, 0] = 1.0 - 2.0 * flipped.float()
    return matrices


def dihedral_matrices(count, generator):
    """A quarter turn k in 0..3 and a horizontal flip with probability one half: entries exactly 0 or +-1."""
    turns = torch.randint(0, 4, (count,), generator=generator)
    rotations = rotation_matrices(turns * (math.pi / 2)).round()
    return rotations @ flip_matrices(happens(count, 0.5, generator))


def draw_warps(count, generator):
    """[count, 2, 3] maps from output to source coordinates, both in [-1, 1] over a square image (x first)."""
    frame = dihedral_matrices(count, generator) @ flip_matrices(happens(count, 0.5, generator))
    limit = math.radians(MAX_ROTATION_DEGREES)
    angles = uniform(count, -limit, limit, generator) * happens(count, ROTATION_PROBABILITY, generator)
    zoom = torch.where(happens(count, ZOOM_PROBABILITY, generator), uniform(count, 1.0, MAX_ZOOM, generator), torch.ones(count))
    room = 1.0 - 1.0 / zoom  # how far the window's centre can go before the window leaves the frame
    centre = torch.stack([uniform(count, -1.0, 1.0, generator) * room, uniform(count, -1.0, 1.0, generator) * room], 1)
    linear = frame @ rotation_matrices(angles)
    return torch.cat([linear / zoom.view(-1, 1, 1), linear @ centre.unsqueeze(2)], dim=2)


def warp(images, masks, warps):
    """Bilinear for float images [N,3,S,S], nearest for float masks [N,1,S,S]; beyond the border both are reflected, edge repeated."""
    grid = functional.affine_grid(warps, list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    masks = functional.grid_sample(masks, grid, mode="nearest", padding_mode="reflection", align_corners=False)
    return images, masks


def light(images, brightness, contrast):
    """Contrast about the image's own mean, then brightness, clipped to [0, 1]."""
    contrast = torch.where(contrast >= 0, contrast + 1, 1 / (1 - contrast)).view(-1, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness.view(-1, 1, 1, 1)).clamp_(0, 1)


def augment(images, masks, generator):
    """uint8 images [N,3,S,S] and masks [N,1,S,S] of 0 and 1 to normalised float images and float masks."""
    count = len(images)
    images, masks = warp(images.float() / 255, masks.float(), draw_warps(count, generator))
    brightness = uniform(count, -MAX_LIGHTING, MAX_LIGHTING, generator)
    contrast = uniform(count, -MAX_LIGHTING, MAX_LIGHTING, generator)
    return normalise(light(images, brightness, contrast)), masks
