// Names, archive and rules of a submission.
#include "tools/training/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "data/codec.h"
#include "data/name_list.h"
#include "engine/core/error.h"
#include "models/zip_archive.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "ISIC_";
constexpr std::size_t kDigits = 7;

bool is_challenge_name(const std::string& stem) {
  return stem.size() == kPrefix.size() + kDigits && stem.starts_with(kPrefix) &&
         std::all_of(stem.begin() + kPrefix.size(), stem.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string member_of(const std::string& id) {
  return id + "_segmentation.png";
}

void check_mask_png(std::span<const std::byte> bytes, const SubmissionMask& mask, const std::string& name) {
  const std::span png(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  const auto info = data::probe(png, name);
  DERMATOME_CHECK(info.format == data::FileFormat::png && info.channels == 1 && info.bits == 8,
                  "{} is no PNG of one 8-bit channel", name);
  DERMATOME_CHECK(info.width == mask.width && info.height == mask.height, "{} is {}x{} pixels but its photograph {}x{}",
                  name, info.width, info.height, mask.width, mask.height);
  const data::Mask decoded = data::decode_mask(png, name);
  const auto& pixels = decoded.grey.pixels;
  DERMATOME_CHECK(!decoded.was_zero_one &&
                      std::all_of(pixels.begin(), pixels.end(), [](std::uint8_t p) { return p == 0 || p == 255; }),
                  "{} holds other values than 0 and 255", name);
}

}  // namespace

std::vector<std::string> submission_ids(std::span<const fs::path> photographs) {
  std::vector<std::string> ids;
  std::vector<std::string> wrong;
  std::map<std::string, fs::path> seen;
  for (const auto& photograph : photographs) {
    ids.push_back(photograph.stem().string());
    if (!is_challenge_name(ids.back())) {
      wrong.push_back(photograph.filename().string());
      continue;
    }
    const auto [other, added] = seen.emplace(ids.back(), photograph);
    DERMATOME_CHECK(added, "{} and {} are both {}; a submission holds one mask of each", other->second.string(),
                    photograph.string(), ids.back());
  }
  DERMATOME_CHECK(wrong.empty(),
                  "{} of {} photographs are not named as the challenge names them (ISIC_ and seven digits): {}",
                  wrong.size(), photographs.size(), data::first_names(wrong));
  return ids;
}

std::vector<std::byte> submission_archive(std::span<const SubmissionMask> masks) {
  std::vector<ZipMember> members;
  for (const auto& mask : masks) {
    members.push_back({.name = member_of(mask.id), .bytes = std::as_bytes(std::span(mask.png))});
  }
  return zip_archive_of(members);
}

void check_submission(std::span<const std::byte> archive, std::span<const SubmissionMask> masks,
                      const std::string& file) {
  const ZipArchive zip(archive, file);
  const auto names = zip.names();
  std::vector<std::string> stems;
  for (const auto& name : names) stems.push_back(fs::path(name).stem().string());
  for (const auto& mask : masks) {
    const std::string number = mask.id.substr(kPrefix.size());
    const auto holding = std::count_if(stems.begin(), stems.end(),
                                       [&](const std::string& stem) { return stem.find(number) != std::string::npos; });
    DERMATOME_CHECK(holding == 1, "{} holds {} masks of {}, not one", file, holding, mask.id);
    const std::string name = member_of(mask.id);
    check_mask_png(zip.read(name), mask, fmt::format("{}: {}", file, name));
  }
  DERMATOME_CHECK(names.size() == masks.size(), "{} holds {} members, not the {} masks", file, names.size(),
                  masks.size());
}

std::string part_of_that_size(std::size_t count) {
  static const std::map<std::size_t, const char*> parts{
      {100, "the validation part of ISIC 2018"}, {1000, "the test part of ISIC 2018"},
      {2594, "the training part of ISIC 2018"},  {150, "the validation part of ISIC 2017"},
      {600, "the test part of ISIC 2017"},       {2000, "the training part of ISIC 2017"},
      {379, "the test part of ISIC 2016"},       {900, "the training part of ISIC 2016"}};
  const auto found = parts.find(count);
  return found == parts.end() ? "" : fmt::format("as many as {} has", found->second);
}

}  // namespace dermatome::training
