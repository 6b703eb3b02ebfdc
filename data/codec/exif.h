// The one fact of EXIF metadata that pixels need: how the camera was held.
#pragma once

#include <cstdint>
#include <span>

#include "data/image/orientation.h"

namespace dermatome::data {

// Orientation in a TIFF block (EXIF without the leading "Exif\0\0"), from tag 274 of its first directory.
// Missing, damaged or senseless metadata is no reason to refuse a photograph: it reads as upright.
Orientation read_exif_orientation(std::span<const std::uint8_t> tiff);

}  // namespace dermatome::data
