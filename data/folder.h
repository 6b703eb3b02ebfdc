// Which files of a folder are pictures, and which names other programs leave behind.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace dermatome::data {

// Endings of pictures, those that the codec refuses by name included, so that they are reported, not passed over.
bool has_picture_ending(const std::filesystem::path& path);

// Hidden files (.DS_Store, ._*), Thumbs.db, and the *_superpixels.png that ISIC puts beside its photographs.
bool is_clutter(const std::filesystem::path& path);

// Pictures of a folder that are not clutter nor a camera's raw form of another picture of the same name, sorted by
// path; with `recursive`, of the folders below it as well (hidden ones excepted; links to folders are not followed).
// Throws Error naming the folder and the cause.
std::vector<std::filesystem::path> list_pictures(const std::filesystem::path& folder, bool recursive = false);

}  // namespace dermatome::data
