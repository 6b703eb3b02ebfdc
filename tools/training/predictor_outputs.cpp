// Planning of names, and rows of the table.
#include "tools/training/predictor_outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/csv.h"
#include "data/dataset.h"
#include "data/name_list.h"
#include "engine/core/error.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

fs::path real_path(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  return error ? path : real;
}

bool lies_below(const fs::path& path, const fs::path& folder) {
  const auto [end, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

// The photographs and masks of one input, with the names of the former.
FilePlan files_of(const fs::path& input, const fs::path& out) {
  std::error_code ignored;
  if (!fs::is_directory(input, ignored)) {
    const auto file = data::find_images(std::vector{input}, true).front();
    return {.files = {{.photograph = file, .name = file.stem()}}, .masks = {}};
  }
  auto pictures = data::find_images(std::vector{input}, true);
  // What lies below the output folder is left out, unless the folder given is or lies in the output folder itself.
  if (!lies_below(real_path(input), out))
    std::erase_if(pictures, [&](const fs::path& picture) { return lies_below(real_path(picture), out); });
  FilePlan plan{.files = {}, .masks = data::masks_among(pictures, input)};
  const std::set<fs::path> masks(plan.masks.begin(), plan.masks.end());
  for (const auto& picture : pictures) {
    const fs::path below = picture.lexically_relative(input);
    if (!masks.contains(picture))
      plan.files.push_back({.photograph = picture, .name = below.parent_path() / below.stem()});
  }
  return plan;
}

fs::path with_suffix(fs::path name, const std::string& suffix) {
  return name += suffix;
}

// Of a row of the table, which ends a line.
std::pair<std::string, std::string> photograph_and_mask(std::string_view row) {
  auto fields = data::split_csv_line(row.substr(0, row.find('\n')));
  fields.resize(2);
  return {fields[0], fields[1]};
}

// `found`: the pictures that may not be written over, with what they are.
void check_names(const std::vector<PlannedFile>& files, const fs::path& out, const std::vector<std::string>& suffixes,
                 const std::map<fs::path, const char*>& found) {
  std::map<fs::path, fs::path> seen;
  for (const auto& file : files) {
    const auto [other, added] = seen.emplace(file.name, file.photograph);
    DERMATOME_CHECK(added, "{} and {} would write the same mask {}; predict them into two folders",
                    other->second.string(), file.photograph.string(),
                    with_suffix(file.name, suffixes.front()).string());
    for (const auto& suffix : suffixes) {
      const auto written = found.find(out / with_suffix(file.name, suffix));
      if (written != found.end())
        fail("the prediction of {} would overwrite the {} {}; give another folder to --out", file.photograph.string(),
             written->second, written->first.string());
    }
  }
}

}  // namespace

FilePlan plan_files(const std::vector<fs::path>& inputs, const fs::path& out,
                    const std::vector<std::string>& suffixes) {
  const fs::path real_out = real_path(out);
  FilePlan plan;
  std::vector<fs::path> masks;
  std::map<fs::path, const char*> found;
  for (const auto& input : inputs) {
    FilePlan one = files_of(input, real_out);
    for (auto& file : one.files) {
      if (found.emplace(real_path(file.photograph), "photograph").second) plan.files.push_back(std::move(file));
    }
    masks.insert(masks.end(), one.masks.begin(), one.masks.end());
  }
  for (auto& mask : masks) {
    if (found.emplace(real_path(mask), "mask").second) plan.masks.push_back(std::move(mask));
  }
  DERMATOME_CHECK(!plan.files.empty() || plan.masks.empty(),
                  "all pictures given are masks by their names or folders, such as {}; to predict such a file, give it "
                  "itself",
                  plan.masks.front().string());
  DERMATOME_CHECK(!plan.files.empty(), "all photographs lie below {}, the folder given to --out", out.string());
  check_names(plan.files, real_out, suffixes, found);
  return plan;
}

std::string masks_sentence(const FilePlan& plan) {
  if (plan.masks.empty()) return "";
  std::vector<std::string> names;
  for (const auto& mask : plan.masks) names.push_back(mask.string());
  return fmt::format("{} mask{} left out: {}; to predict such a file, give it itself", names.size(),
                     names.size() == 1 ? " is" : "s are", data::first_names(names, 3));
}

std::string table_header() {
  return "image,mask,width,height,empty,area_share,box_left,box_top,box_width,box_height,mean_probability,"
         "lesion_probability\n";
}

std::string table_row(const PlannedFile& file, const std::string& suffix, const Prediction& p) {
  return fmt::format("{},{},{},{},{},{:.6f},{},{},{},{},{:.6f},{:.6f}\n", data::csv_field(file.photograph.string()),
                     data::csv_field(with_suffix(file.name, suffix).string()), p.width, p.height, p.is_empty() ? 1 : 0,
                     p.area_share(), p.box.left, p.box.top, p.box.width(), p.box.height(), p.mean_probability,
                     p.lesion_probability);
}

EarlierTable read_table(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  const auto lines = data::read_lines(file);
  if (lines.empty()) return {};
  if (lines.front() + "\n" != table_header()) return {.rows = {}, .other_columns = true};
  EarlierTable table;
  for (auto line = lines.begin() + 1; line != lines.end(); ++line) table.rows.push_back(*line + "\n");
  return table;
}

std::vector<std::string> kept_rows(const EarlierTable& earlier, const std::vector<std::string>& rows) {
  std::set<std::string> photographs, masks;
  for (const auto& row : rows) {
    const auto [photograph, mask] = photograph_and_mask(row);
    photographs.insert(photograph);
    masks.insert(mask);
  }
  std::vector<std::string> kept;
  for (const auto& row : earlier.rows) {
    const auto [photograph, mask] = photograph_and_mask(row);
    if (!photographs.contains(photograph) && !masks.contains(mask)) kept.push_back(row);
  }
  return kept;
}

}  // namespace dermatome::training
