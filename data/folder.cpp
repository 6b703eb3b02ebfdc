// Listing the pictures of a folder.
#include "data/folder.h"

#include <algorithm>
#include <array>
#include <set>

#include "data/files.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 15> kPictureEndings{".jpg",  ".jpeg", ".jpe",  ".jfif", ".png",
                                                           ".bmp",  ".tif",  ".tiff", ".gif",  ".webp",
                                                           ".heic", ".heif", ".avif", ".jp2",  ".jxl"};

// Of cameras' raw pictures.
constexpr std::array<std::string_view, 17> kRawEndings{".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw",
                                                       ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf",
                                                       ".pef", ".srw", ".x3f", ".3fr", ".iiq"};

template <typename Iterator>
void collect(const fs::path& folder, std::vector<fs::path>& pictures) {
  std::error_code error;
  Iterator entry(folder, error);
  for (; !error && entry != Iterator(); entry.increment(error)) {
    if constexpr (requires { entry.disable_recursion_pending(); }) {
      if (entry->path().filename().string().starts_with('.')) entry.disable_recursion_pending();
    }
    std::error_code ignored;
    if (entry->is_directory(ignored)) continue;
    if (has_picture_ending(entry->path()) && !is_clutter(entry->path())) pictures.push_back(entry->path());
  }
  DERMATOME_CHECK(!error, "cannot list the folder {}: {}", folder.string(), error.message());
}

bool has_raw_ending(const fs::path& path) {
  const std::string ending = lower_case(path.extension().string());
  return std::find(kRawEndings.begin(), kRawEndings.end(), ending) != kRawEndings.end();
}

// Cameras write a raw picture and a JPEG of it under one name: then the raw one is nobody's concern.
void drop_raw_beside_pictures(std::vector<fs::path>& pictures) {
  const auto name_of = [](const fs::path& path) { return (path.parent_path() / path.stem()).string(); };
  std::set<std::string> names;
  for (const auto& picture : pictures) {
    if (!has_raw_ending(picture)) names.insert(name_of(picture));
  }
  std::erase_if(pictures,
                [&](const fs::path& picture) { return has_raw_ending(picture) && names.contains(name_of(picture)); });
}

}  // namespace

bool has_picture_ending(const fs::path& path) {
  const std::string ending = lower_case(path.extension().string());
  return has_raw_ending(path) ||
         std::find(kPictureEndings.begin(), kPictureEndings.end(), ending) != kPictureEndings.end();
}

bool is_clutter(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') || lower_case(name) == "thumbs.db" ||
         lower_case(path.stem().string()).ends_with("_superpixels");
}

std::vector<fs::path> list_pictures(const fs::path& folder, bool recursive) {
  std::vector<fs::path> pictures;
  if (recursive) {
    collect<fs::recursive_directory_iterator>(folder, pictures);
  } else {
    collect<fs::directory_iterator>(folder, pictures);
  }
  drop_raw_beside_pictures(pictures);
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

}  // namespace dermatome::data
