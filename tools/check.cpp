// dermatome check: looks at every photograph and mask of a folder, tells what is wrong with it, and copies what is
// right.
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "data/findings.h"
#include "data/inspection.h"
#include "data/repaired_copy.h"
#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/progress.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kListed = 10;  // findings of one kind on the terminal

struct CheckCommand {
  DataOptions data;
  std::string part, against, fix, json;
  int threads = 0;
};

struct Checked {
  data::Pairing pairing;
  std::vector<data::InspectedPair> pairs;
  std::vector<data::Finding> findings;
  std::size_t others = 0;  // photographs of the other folder
};

// Masks lie beside the photographs or in a folder of their own: neither are photographs.
bool is_mask(const fs::path& path) {
  std::string stem = path.stem().string();
  std::string folder = path.parent_path().filename().string();
  for (auto* text : {&stem, &folder}) std::transform(text->begin(), text->end(), text->begin(), ::tolower);
  return stem.ends_with("_segmentation") || stem.ends_with("_mask") || stem.ends_with("_lesion") || folder == "masks" ||
         folder.ends_with("groundtruth");
}

std::vector<fs::path> photographs_below(const fs::path& folder) {
  const std::vector<fs::path> folders{folder};
  auto files = data::find_images(folders, true);
  std::erase_if(files, is_mask);
  DERMATOME_CHECK(!files.empty(), "{} holds no photographs to compare with, only masks", folder.string());
  return files;
}

Checked inspect(const CheckCommand& command, Progress& progress) {
  std::vector<fs::path> others;
  if (!command.against.empty()) others = photographs_below(command.against);
  Checked checked;
  checked.pairing =
      command.data.find(command.part.empty() ? std::nullopt : std::optional(data::parse_part(command.part)));
  if (!command.fix.empty()) data::check_copy_folder(checked.pairing, command.fix);
  checked.pairs = data::inspect(checked.pairing.samples,
                                [&](std::size_t done, std::size_t total) { progress.count("checking", done, total); });
  checked.findings = data::findings_of(checked.pairing, checked.pairs);
  if (others.empty()) return checked;
  const auto photographs = data::inspect_photographs(
      others, [&](std::size_t done, std::size_t total) { progress.count("comparing", done, total); });
  const auto leaks = data::leaks_between(checked.pairing.samples, checked.pairs, others, photographs);
  checked.findings.insert(checked.findings.end(), leaks.begin(), leaks.end());
  std::stable_sort(checked.findings.begin(), checked.findings.end(),
                   [](const auto& a, const auto& b) { return a.level < b.level; });
  checked.others = others.size();
  return checked;
}

std::size_t count_of(const Checked& checked, data::Level level) {
  return static_cast<std::size_t>(std::count_if(checked.findings.begin(), checked.findings.end(),
                                                [&](const auto& finding) { return finding.level == level; }));
}

// The value below which that share of them lies; `values` is sorted and not empty.
double quantile(const std::vector<double>& values, double share) {
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

// What the readable photographs and masks are like.
struct Summary {
  std::map<std::string, std::size_t> photograph_formats, mask_formats;
  std::vector<double> megapixels, lesion_shares;  // sorted
  int smallest[2] = {0, 0}, largest[2] = {0, 0};  // width and height of the photographs with the fewest and most pixels
};

Summary summary_of(const std::vector<data::InspectedPair>& pairs) {
  Summary summary;
  const auto pixels = [](const int* sides) { return static_cast<double>(sides[0]) * sides[1]; };
  for (const auto& pair : pairs) {
    if (pair.photograph.error.empty()) {
      const int sides[2] = {pair.photograph.info.width, pair.photograph.info.height};
      if (summary.megapixels.empty() || pixels(sides) < pixels(summary.smallest))
        std::copy_n(sides, 2, summary.smallest);
      if (pixels(sides) > pixels(summary.largest)) std::copy_n(sides, 2, summary.largest);
      summary.megapixels.push_back(pixels(sides) * 1e-6);
      ++summary.photograph_formats[std::string(data::name_of(pair.photograph.info.format))];
    }
    if (pair.mask.error.empty()) {
      summary.lesion_shares.push_back(pair.mask.lesion_share);
      ++summary.mask_formats[std::string(data::name_of(pair.mask.info.format))];
    }
  }
  std::sort(summary.megapixels.begin(), summary.megapixels.end());
  std::sort(summary.lesion_shares.begin(), summary.lesion_shares.end());
  return summary;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::string formats_text(const std::map<std::string, std::size_t>& formats) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : formats) parts.push_back(fmt::format("{} {}", count, name));
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

void print_summary(const Checked& checked) {
  const Summary summary = summary_of(checked.pairs);
  fmt::print("{} photographs in {}\n{} masks in {}\n", checked.pairing.photographs(), checked.pairing.images.string(),
             checked.pairing.samples.size() + checked.pairing.lone_masks.size(), checked.pairing.masks.string());
  if (checked.others > 0) fmt::print("{} other photographs to compare with\n", checked.others);
  fmt::print("  formats      photographs {}; masks {}\n", formats_text(summary.photograph_formats),
             formats_text(summary.mask_formats));
  if (!summary.megapixels.empty()) {
    const auto& values = summary.megapixels;
    const auto large = values.end() - std::upper_bound(values.begin(), values.end(), 12.0);
    fmt::print("  size         {}x{} to {}x{} pixels, median {:.2f} megapixels; {} above 12 megapixels\n",
               summary.smallest[0], summary.smallest[1], summary.largest[0], summary.largest[1], quantile(values, 0.5),
               large);
  }
  if (!summary.lesion_shares.empty()) {
    const auto& values = summary.lesion_shares;
    fmt::print(
        "  lesion area  mean {:.1f} % of a photograph, median {:.1f} %; one in twenty below {:.1f} %, one in twenty "
        "above {:.1f} %\n",
        100 * mean_of(values), 100 * quantile(values, 0.5), 100 * quantile(values, 0.05), 100 * quantile(values, 0.95));
  }
}

void print_findings(const std::vector<data::Finding>& findings) {
  for (const data::Level level : {data::Level::error, data::Level::warning, data::Level::information}) {
    std::vector<std::string_view> kinds;  // in the order of their first finding
    std::map<std::string_view, std::vector<std::string>> texts;
    for (const auto& finding : findings) {
      if (finding.level != level) continue;
      if (texts[finding.kind].empty()) kinds.push_back(finding.kind);
      texts[finding.kind].push_back(finding.text);
    }
    for (const auto kind : kinds) {
      const auto& lines = texts[kind];
      fmt::print("{}: {} ({})\n", data::name_of(level), kind, lines.size());
      for (std::size_t i = 0; i < std::min(kListed, lines.size()); ++i) fmt::print("  {}\n", lines[i]);
      if (lines.size() > kListed) fmt::print("  and {} more; --json FILE lists all\n", lines.size() - kListed);
    }
  }
}

nlohmann::json to_json(const Checked& checked) {
  const Summary summary = summary_of(checked.pairs);
  nlohmann::json json{{"images", checked.pairing.images.string()},
                      {"masks", checked.pairing.masks.string()},
                      {"photographs", checked.pairing.photographs()},
                      {"usable", std::count_if(checked.pairs.begin(), checked.pairs.end(),
                                               [](const auto& pair) { return pair.is_usable(); })},
                      {"errors", count_of(checked, data::Level::error)},
                      {"warnings", count_of(checked, data::Level::warning)},
                      {"photograph_formats", summary.photograph_formats},
                      {"mask_formats", summary.mask_formats},
                      {"findings", nlohmann::json::array()},
                      {"per_image", nlohmann::json::array()}};
  if (const auto& shares = summary.lesion_shares; !shares.empty()) {
    json["mean_lesion_share"] = mean_of(shares);
    json["median_lesion_share"] = quantile(shares, 0.5);
    json["lesion_share_5_percent"] = quantile(shares, 0.05);
    json["lesion_share_95_percent"] = quantile(shares, 0.95);
  }
  for (const auto& finding : checked.findings) {
    json["findings"].push_back({{"level", data::name_of(finding.level)},
                                {"kind", finding.kind},
                                {"files", finding.files},
                                {"text", finding.text}});
  }
  for (std::size_t i = 0; i < checked.pairs.size(); ++i) {
    const auto& pair = checked.pairs[i];
    nlohmann::json row{{"id", checked.pairing.samples[i].id}, {"usable", pair.is_usable()}};
    if (pair.photograph.error.empty()) {
      row["width"] = pair.photograph.info.width;
      row["height"] = pair.photograph.info.height;
      row["contents"] = data::to_text(pair.photograph.hash);
    }
    if (pair.mask.error.empty()) row["lesion_share"] = pair.mask.lesion_share;
    json["per_image"].push_back(std::move(row));
  }
  return json;
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count == 0 ? "no" : std::to_string(count), what, count == 1 ? "" : "s");
}

void run_check(const CheckCommand& command) {
  set_threads(command.threads);
  if (command.data.data.empty() && command.data.images.empty()) {
    fail_usage(
        "what shall be checked? Give a folder (of an ISIC challenge, or with the folders images and masks) or "
        "--images DIR with --masks DIR");
  }
  Progress progress;
  const Checked checked = inspect(command, progress);
  progress.clear();
  const bool quiet = command.json == "-";
  if (!quiet) {
    print_summary(checked);
    print_findings(checked.findings);
    std::fflush(stdout);  // what follows on standard error shall stand below
  }
  if (!command.json.empty()) write_json(command.json, to_json(checked));
  if (!command.fix.empty()) {
    const auto copy =
        data::copy_repaired(checked.pairing, checked.pairs, command.fix,
                            [&](std::size_t done, std::size_t total) { progress.count("copying", done, total); });
    progress.message(
        fmt::format("{} pairs in {}, {} of their masks repaired, {} photographs left out; repairs.csv says which",
                    copy.copied, command.fix, copy.repaired, copy.left_out));
  }
  const std::size_t errors = count_of(checked, data::Level::error);
  const std::size_t warnings = count_of(checked, data::Level::warning);
  if (!quiet) fmt::print("{}, {}\n", counted(errors, "error"), counted(warnings, "warning"));
  if (errors + warnings > 0) set_exit_code(1);
}

}  // namespace

void add_check(CLI::App& app) {
  auto* sub = app.add_subcommand(
      "check", "Look at every photograph and mask and tell what is wrong; exits with 1 where something is");
  auto command = std::make_shared<CheckCommand>();
  auto* folder = sub->add_option("folder", command->data.data,
                                 "Folder of ISIC 2016, 2017 or 2018 Task 1, or with the folders images and masks");
  auto* images = sub->add_option("--images", command->data.images, "Folder of photographs, instead");
  auto* masks = sub->add_option("--masks", command->data.masks, "Folder of their masks");
  images->excludes(folder)->needs(masks);
  masks->excludes(folder)->needs(images);
  sub->add_option("--part", command->part, "train, validation or test: of a challenge whose parts lie in one folder");
  sub->add_option("--against", command->against,
                  "Folder of other photographs, for example those to test on: also tell which are in both");
  sub->add_option("--fix", command->fix,
                  "New folder for a copy: usable pairs only, masks repaired; the original is never changed");
  sub->add_option("--json", command->json, "Write all findings to this file, - for standard output");
  sub->add_option("--threads", command->threads, "Threads; 0: as many as there are cores")->capture_default_str();
  sub->callback([command] { run_check(*command); });
}

}  // namespace dermatome
