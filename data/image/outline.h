// Pictures for people: a mask's outline or tint drawn on a photograph, and pictures laid out in a grid.
#pragma once

#include <span>

#include "data/image/image.h"

namespace dermatome::data {

// A mask here is one channel; a pixel belongs to the lesion when it is above 127.

// 255 on every lesion pixel that touches the background, or the picture's border, with one of its four sides; else 0.
Image boundary(const Image& mask);

// Draws the mask's boundary on an RGB image of the same size. `thickness` is the diameter in pixels (at least 1) of
// the round pen that follows the boundary pixels. Throws Error where sizes or channels do not fit.
void draw_outline(Image& rgb, const Image& mask, Rgb colour, int thickness = 1);

// Mixes `colour` into the lesion's pixels of an RGB image of the same size; opacity 0 leaves them, 1 replaces them.
void tint(Image& rgb, const Image& mask, Rgb colour, double opacity);

// RGB picture of the cells in rows of `columns`, from the left and the top, `gap` pixels apart. A column is as wide as
// its widest cell, a row as high as its highest; a cell sits at the upper left of its place. Cells may be grey or RGB.
Image grid(std::span<const Image> cells, int columns, int gap = 0, Rgb background = {255, 255, 255});

}  // namespace dermatome::data
