// Copying files, with a line for each that is not copied as it is.
#include "data/repaired_copy.h"

#include <algorithm>
#include <set>

#include "data/csv.h"
#include "data/files.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;

bool lies_inside(const fs::path& inner, const fs::path& outer) {
  std::error_code error;
  const auto folder = fs::weakly_canonical(outer, error);
  const auto path = fs::weakly_canonical(inner, error);
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  DERMATOME_CHECK(!error, "the folder {} cannot be made: {}", folder.string(), error.message());
}

void check_space(const std::vector<InspectedPair>& pairs, const fs::path& out) {
  std::uint64_t bytes = 0;
  for (const auto& pair : pairs) bytes += pair.photograph.bytes;
  std::error_code error;
  const auto space = fs::space(out, error);
  DERMATOME_CHECK(error || space.available > bytes + bytes / 10, "{} needs {:.1f} GB but its disk has {:.1f} GB free",
                  out.string(), 1.1e-9 * static_cast<double>(bytes), 1e-9 * static_cast<double>(space.available));
}

void write_clean_mask(const Sample& sample, const ImageInfo& photograph, const fs::path& file) {
  const StoredGrid grid{.width = photograph.width, .height = photograph.height, .orientation = photograph.orientation};
  const RepairedMask repaired = repair_mask(read_mask(sample.mask), grid, sample.mask.string(), sample.image.string());
  write_png(file, at_stored_size(repaired, grid));
}

// One line of repairs.csv for each file that is not copied as it is.
using Actions = std::vector<std::string>;

std::string action(const fs::path& file, std::string_view what) {
  return fmt::format("{},{}\n", csv_field(file.string()), csv_field(what));
}

// The samples to copy, the others with the reason in `actions`.
std::vector<std::size_t> chosen(const Pairing& pairing, const std::vector<InspectedPair>& pairs, Actions& actions) {
  std::vector<std::size_t> indices;
  std::set<std::pair<ContentHash, ContentHash>> seen;
  for (const auto& unpaired : pairing.unpaired) {
    for (const auto& file : unpaired.files) actions.push_back(action(file, "left out: " + cause_of(unpaired, pairing)));
  }
  for (const auto& mask : pairing.lone_masks) actions.push_back(action(mask, "left out: without a photograph"));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const InspectedPair& pair = pairs[i];
    const Sample& sample = pairing.samples[i];
    if (!pair.is_usable()) {
      actions.push_back(action(
          sample.image, "left out: " + (pair.photograph.error.empty() ? pair.mask.error : pair.photograph.error)));
    } else if (!seen.insert({pair.photograph.hash, pair.mask.hash}).second) {
      actions.push_back(action(sample.image, "left out: the same photograph and mask are there under another name"));
    } else {
      indices.push_back(i);
    }
  }
  return indices;
}

}  // namespace

void check_copy_folder(const Pairing& pairing, const fs::path& out) {
  std::error_code error;
  DERMATOME_CHECK(!fs::exists(out, error) || (fs::is_directory(out, error) && fs::is_empty(out, error)),
                  "{} is there already; repairs go into a new or empty folder", out.string());
  for (const auto& folder : {pairing.images, pairing.masks}) {
    DERMATOME_CHECK(!lies_inside(out, folder), "{} lies inside {}, which is only read; give another folder",
                    out.string(), folder.string());
  }
}

RepairedCopy copy_repaired(const Pairing& pairing, const std::vector<InspectedPair>& pairs, const fs::path& out,
                           const Progress& progress) {
  check_copy_folder(pairing, out);
  make_folder(out / "images");
  make_folder(out / "masks");
  check_space(pairs, out);
  Actions actions;
  const auto indices = chosen(pairing, pairs, actions);
  Actions repairs(indices.size());
  const auto failures = for_each_file(indices.size(), progress, [&](std::size_t k) {
    const Sample& sample = pairing.samples[indices[k]];
    const InspectedPair& pair = pairs[indices[k]];
    write_file(out / "images" / sample.image.filename(), read_file(sample.image), Durability::unsynced);
    if (!pair.mask.repairs.any()) {
      const fs::path name = sample.id + "_segmentation" + sample.mask.extension().string();
      write_file(out / "masks" / name, read_file(sample.mask), Durability::unsynced);
      return;
    }
    write_clean_mask(sample, pair.photograph.info, out / "masks" / (sample.id + "_segmentation.png"));
    repairs[k] = action(sample.mask, "repaired");
  });
  check_failures(failures, indices.size(), "");
  std::string table = "file,action\n";
  for (const auto* lines : {&actions, &repairs}) {
    for (const auto& line : *lines) table += line;
  }
  write_file(out / "repairs.csv", table);
  const auto repaired = std::count_if(repairs.begin(), repairs.end(), [](const auto& line) { return !line.empty(); });
  return {.copied = indices.size(),
          .repaired = static_cast<std::size_t>(repaired),
          .left_out = pairing.photographs() - indices.size()};
}

}  // namespace dermatome::data
