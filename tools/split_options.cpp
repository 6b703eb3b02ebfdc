// --validation, --split, shares, --groups and --near-duplicates.
#include "tools/split_options.h"

#include "data/csv.h"
#include "data/files.h"
#include "data/name_list.h"
#include "data/near_duplicates.h"
#include "data/parallel.h"
#include "engine/core/error.h"
#include "tools/signals.h"

namespace dermatome {
namespace {

std::vector<std::string> ids_of(const std::vector<data::Sample>& samples) {
  std::vector<std::string> ids;
  for (const auto& sample : samples) ids.push_back(sample.id);
  return ids;
}

// A photograph that cannot be read has no contrast here, and so no likeness; loading it will say what is wrong.
std::vector<data::NearDuplicate> near_duplicates_of(const std::vector<data::Sample>& samples, data::Cache* cache,
                                                    Progress& progress) {
  std::vector<data::Fingerprint> prints(samples.size());
  data::MemoryBudget budget(data::kDecodingBudget);
  const auto count = [&](const char* what) {
    return [&progress, what](std::size_t done, std::size_t total) {
      progress.count(what, done, total);
      stop_if_signalled();
    };
  };
  data::for_each_file(samples.size(), count("looking for near-duplicates"), [&](std::size_t i) {
    if (cache != nullptr) {
      prints[i] = cache->fingerprint(samples[i].image, budget);
      return;
    }
    const auto bytes = data::read_file(samples[i].image);
    const auto share = budget.take(data::preparing_bytes(bytes, bytes, data::Fingerprint::kSide));
    prints[i] = data::fingerprint_of(bytes, samples[i].image.string());
  });
  return data::find_near_duplicates(prints, count("comparing"));
}

data::GroupTable table_of(const SplitOptions& options, const std::vector<std::string>& ids, Progress& progress) {
  if (options.groups.empty()) return {};
  const auto table = data::read_groups_csv(options.groups, ids, options.group_column);
  progress.message(fmt::format("{} says of {} of {} photographs what belongs together (by {})", options.groups,
                               table.named, ids.size(), data::first_names(table.columns, table.columns.size())));
  return table;
}

data::Groups groups_of(const SplitOptions& options, const std::vector<data::Sample>& samples, data::Cache* cache,
                       Progress& progress) {
  const auto ids = ids_of(samples);
  const auto table = table_of(options, ids, progress);
  std::vector<data::NearDuplicate> duplicates;
  if (options.near_duplicates == "together") duplicates = near_duplicates_of(samples, cache, progress);
  if (!duplicates.empty()) {
    std::vector<std::string> names;
    for (const auto& pair : duplicates) names.push_back(ids[pair.first] + " and " + ids[pair.second]);
    progress.message(fmt::format("{} pair{} of photographs show{} the same picture: {}", names.size(),
                                 names.size() == 1 ? "" : "s", names.size() == 1 ? "s" : "",
                                 data::first_names(names, 3)));
  }
  if (table.columns.empty() && duplicates.empty()) return {};
  return data::make_groups(ids, table, duplicates);
}

// Where the parts were not drawn here, they may tear groups apart: scores on what was nearly trained on are too good.
void tell_torn(const SplitData& split, Progress& progress) {
  if (split.groups.of.empty()) return;
  const auto torn = data::torn_groups(split.groups, split.parts);
  if (torn.empty()) return;
  std::vector<std::string> names;
  for (const std::size_t group : torn) {
    std::vector<std::string> members;
    for (std::size_t i = 0; i < split.ids.size(); ++i) {
      if (split.groups.of[i] == group) members.push_back(fmt::format("{} ({})", split.ids[i], name_of(split.parts[i])));
    }
    names.push_back(fmt::format("{}", fmt::join(members, " and ")));
  }
  progress.message(
      fmt::format("warning: {} group(s) of photographs that belong together lie in several parts, so "
                  "validation scores will be too good: {}",
                  torn.size(), data::first_names(names, 3)));
}

std::vector<data::Part> parts_of(const SplitOptions& options, const std::vector<std::string>& ids, std::uint64_t seed,
                                 const data::Groups& groups) {
  const data::Shares shares{.validation = options.validation_share, .test = options.test_share};
  if (!options.split.empty()) return data::read_split_csv(options.split, ids);
  return data::split_by_share(ids, shares, seed, groups);
}

void sort_by_part(SplitData& split, const std::vector<data::Sample>& samples) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (split.parts[i] == data::Part::train) split.data.train.push_back(samples[i]);
    if (split.parts[i] == data::Part::validation) split.data.validation.push_back(samples[i]);
  }
}

}  // namespace

SplitData split_samples(const DataOptions& data, const SplitOptions& options, std::uint64_t seed, data::Cache* cache,
                        Progress& progress) {
  const Tell tell = [&](const std::string& text) { progress.message(text); };
  if (!data.skip_bad) check_usable(data, options.validation);
  auto samples = data.samples(tell);
  SplitData split;
  split.parts.assign(samples.size(), data::Part::train);
  if (!options.validation.empty()) {
    const auto validation = validation_samples(options.validation, data.skip_bad, tell);
    DERMATOME_CHECK(validation.front().image != samples.front().image,
                    "{} holds the photographs that are trained on; validate on others", options.validation);
    samples.insert(samples.end(), validation.begin(), validation.end());
    split.parts.resize(samples.size(), data::Part::validation);
  }
  split.ids = ids_of(samples);
  split.groups = groups_of(options, samples, cache, progress);
  if (options.validation.empty()) split.parts = parts_of(options, split.ids, seed, split.groups);
  tell_torn(split, progress);
  sort_by_part(split, samples);
  DERMATOME_CHECK(!split.data.train.empty(), "{} leaves no photograph to train on", options.split);
  return split;
}

FoldedSamples fold_samples(const DataOptions& data, const SplitOptions& options, std::size_t folds, std::uint64_t seed,
                           data::Cache* cache, Progress& progress) {
  FoldedSamples folded{.samples = data.samples([&](const std::string& text) { progress.message(text); })};
  folded.ids = ids_of(folded.samples);
  folded.groups = groups_of(options, folded.samples, cache, progress);
  folded.folds = data::split_into_folds(folded.ids, folds, options.test_share, seed, folded.groups);
  return folded;
}

FoldedSamples read_folds(const DataOptions& data, const std::filesystem::path& csv, std::size_t folds,
                         Progress& progress) {
  FoldedSamples folded{.samples = data.samples([&](const std::string& text) { progress.message(text); })};
  folded.ids = ids_of(folded.samples);
  folded.folds = data::read_folds_csv(csv, folded.ids, folds);
  const auto header = data::split_csv_line(data::read_lines(csv).front());
  if (std::find(header.begin(), header.end(), "group") != header.end())
    folded.groups = data::make_groups(folded.ids, data::read_groups_csv(csv, folded.ids, "group"), {});
  return folded;
}

SplitData split_of_fold(const FoldedSamples& folded, std::size_t fold) {
  SplitData split{
      .data = {}, .ids = folded.ids, .parts = data::parts_of_fold(folded.folds, fold), .groups = folded.groups};
  sort_by_part(split, folded.samples);
  return split;
}

std::shared_ptr<SplitOptions> add_split_options(CLI::App& command, std::vector<CLI::Option*>& choosing) {
  auto options = std::make_shared<SplitOptions>();
  auto* validation =
      command.add_option("--validation", options->validation, "Folder of the photographs to validate on");
  auto* share = command.add_option("--validation-share", options->validation_share, "Share split off to validate on")
                    ->capture_default_str();
  auto* split =
      command.add_option("--split", options->split, "CSV with columns image,part (train, validation or test)");
  auto* test = command.add_option("--test-share", options->test_share,
                                  "Share split off for a later test, neither trained on nor validated");
  validation->excludes(share)->excludes(split)->excludes(test);
  split->excludes(share)->excludes(test);
  auto* groups = command.add_option("--groups", options->groups,
                                    "CSV that names each image's patient or lesion, which stay in one part");
  auto* column =
      command.add_option("--group-column", options->group_column,
                         "The one column of --groups to go by; else all of patient_id, lesion_id, group and the like");
  column->needs(groups);
  auto* duplicates =
      command
          .add_option("--near-duplicates", options->near_duplicates,
                      "Photographs of the same picture: keep them together in one part, or do not look for them")
          ->capture_default_str()
          ->check(CLI::IsMember({"together", "ignore"}));
  choosing = {share, split, test, groups, column, duplicates};
  return options;
}

}  // namespace dermatome
