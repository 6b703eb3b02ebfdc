// dermatome prepare: fills a cache ahead of training, empties it, and measures what reduced decoding costs in
// exactness.
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "data/files.h"
#include "data/image/resize.h"
#include "data/inspection.h"
#include "data/parallel.h"
#include "data/resident_set.h"
#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/training/recipe.h"

namespace dermatome {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct PrepareCommand {
  std::shared_ptr<DataOptions> data;
  std::vector<int> sizes;
  std::vector<std::string> settings;
  int threads = 0;
  bool clean = false;
  bool remove_unused = false;
  bool measure = false;
};

// At the sizes given, or as the recipe's stages want, each size once.
std::vector<data::Preparation> preparations_of(const PrepareCommand& command) {
  std::vector<data::Preparation> preparations(command.sizes.begin(), command.sizes.end());
  if (preparations.empty()) {
    const training::Recipe recipe = training::recipe_of(command.settings);
    for (const auto& stage : recipe.stages) preparations.push_back(recipe.preparation(stage));
  } else if (!command.settings.empty()) {
    fail_usage("give either --size or a recipe; both say at which sizes to prepare");
  }
  std::sort(preparations.begin(), preparations.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
  preparations.erase(std::unique(preparations.begin(), preparations.end()), preparations.end());
  return preparations;
}

std::string sizes_text(const std::vector<data::Preparation>& preparations) {
  std::vector<std::string> texts;
  for (const auto& preparation : preparations) texts.push_back(to_text(preparation));
  return fmt::format("{}", fmt::join(texts, " and "));
}

// Tells what all sizes need, each for itself and together; refuses, before anything is written, where the disk is too
// small.
void tell_plans(const data::Cache& cache, const std::vector<data::Sample>& samples,
                const std::vector<data::Preparation>& preparations, Progress& progress) {
  std::vector<data::CachePlan> plans;
  for (const auto& preparation : preparations) plans.push_back(cache.plan(samples, preparation));
  const data::CachePlan all = data::sum_of(plans);
  data::check_room(all, cache.folder(), sizes_text(preparations));
  for (std::size_t i = 0; i < plans.size(); ++i) {
    progress.message(data::plan_sentence(plans[i], cache.folder(), preparations[i]));
  }
  if (all.bytes == 0) return;
  progress.message(fmt::format("together {} pairs and {} fingerprints to add, {} ({} are free)", all.missing,
                               all.missing_prints, data::bytes_text(all.bytes), data::bytes_text(all.free)));
  progress.message(fmt::format("decoding holds {} MiB at most beside the files read, on {}",
                               data::kDecodingBudget >> 20, training::threads_text(threads())));
}

struct Filled {
  std::vector<std::string> bad;  // the causes of what could not be prepared
  data::LoadReport report;
};

// Fills the cache at one size and tells how much was added.
Filled fill(data::Cache& cache, const std::vector<data::Sample>& samples, const data::Preparation& preparation,
            Progress& progress) {
  const auto start = Clock::now();
  const std::size_t hits = cache.hits();
  const std::size_t misses = cache.misses();
  data::MemoryBudget budget(data::kDecodingBudget);
  std::vector<data::LoadReport> reports(samples.size());
  auto failures = data::for_each_file(
      samples.size(),
      [&](std::size_t done, std::size_t total) {
        progress.count("preparing", done, total);
        stop_if_signalled();
        const std::string failure = cache.write_failure();
        DERMATOME_CHECK(failure.empty(), "{}", failure);
      },
      [&](std::size_t i) {
        const data::PreparedPair pair = cache.pair(samples[i], preparation, budget);
        cache.fingerprint(samples[i].image, budget);  // `train` looks for near-duplicates
        reports[i].count(pair.repairs, pair.photograph.stored);
      });
  data::name_bad_masks(samples, failures);
  Filled filled;
  for (const auto& one : reports) filled.report.add(one);
  const double seconds = seconds_since(start);
  const std::size_t added = cache.misses() - misses;
  progress.message(fmt::format(
      "{}: {} pairs were there, {} added{}", data::to_text(preparation), cache.hits() - hits, added,
      added > 0 ? fmt::format(" in {} ({:.0f} pairs/s)", duration_text(seconds), static_cast<double>(added) / seconds)
                : ""));
  std::copy_if(failures.begin(), failures.end(), std::back_inserter(filled.bad),
               [](const auto& failure) { return !failure.empty(); });
  return filled;
}

void fill_all(const PrepareCommand& command, const std::vector<data::Preparation>& preparations, data::Cache& cache,
              const std::vector<data::Sample>& samples, Progress& progress) {
  tell_plans(cache, samples, preparations, progress);
  Filled filled;  // bad files and repairs are the same ones at every size
  for (const auto& preparation : preparations) filled = fill(cache, samples, preparation, progress);
  for (const auto& sentence : filled.report.sentences(samples.size())) progress.message(sentence);
  if (command.remove_unused) {
    const auto removed = cache.remove_unused();
    progress.message(fmt::format("removed {} entries that these photographs do not need, {}", removed.entries,
                                 data::bytes_text(removed.bytes)));
  }
  const auto usage = cache.usage();
  progress.message(
      fmt::format("{} holds {} entries, {}", cache.folder().string(), usage.entries, data::bytes_text(usage.bytes)));
  for (const auto& cause : filled.bad) progress.message((command.data->skip_bad ? "left out: " : "bad: ") + cause);
  DERMATOME_CHECK(
      filled.bad.empty() || command.data->skip_bad,
      "{} of {} samples cannot be used, see above: repair or remove them, or leave them out with --skip-bad",
      filled.bad.size(), samples.size());
}

// Differences between reduced and full decoding over all photographs at one size, and the time of both on one thread.
struct Comparison {
  double full_seconds = 0, reduced_seconds = 0;
  double sum = 0, squares = 0;
  std::size_t values = 0, above_two = 0, reduced = 0;
  int largest = 0;

  void add(const data::Sample& sample, int size) {
    const auto bytes = data::read_file(sample.image);
    const std::string name = sample.image.string();
    auto start = Clock::now();
    const data::Photograph photograph = data::decode_rgb(bytes, name);
    const data::Image full = data::resize(photograph.image, size, size);
    full_seconds += seconds_since(start);
    start = Clock::now();
    const data::Image prepared = data::prepare_photograph(bytes, name, size).image;
    reduced_seconds += seconds_since(start);
    reduced += full != prepared ? 1u : 0u;
    for (std::size_t i = 0; i < full.pixels.size(); ++i) {
      const int difference = std::abs(full.pixels[i] - prepared.pixels[i]);
      sum += difference;
      squares += static_cast<double>(difference) * difference;
      largest = std::max(largest, difference);
      above_two += difference > 2 ? 1u : 0u;
      ++values;
    }
  }
};

void measure(const std::vector<data::Preparation>& preparations, const std::vector<data::Sample>& samples,
             Progress& progress) {
  fmt::print("{:>5} {:>12} {:>8} {:>8} {:>8} {:>9} {:>14} {:>14}\n", "px", "photographs", "mean", "rms", "largest",
             "above 2", "full decoding", "as prepared");
  for (const auto& preparation : preparations) {
    const int size = preparation.size;
    Comparison comparison;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      comparison.add(samples[i], size);
      progress.count("measuring", i + 1, samples.size());
    }
    progress.clear();
    const auto values = static_cast<double>(comparison.values);
    fmt::print("{:>5} {:>12} {:>8.3f} {:>8.3f} {:>8} {:>7.3f} % {:>12.2f} s {:>12.2f} s\n", size,
               fmt::format("{} of {}", comparison.reduced, samples.size()), comparison.sum / values,
               std::sqrt(comparison.squares / values), comparison.largest,
               100 * static_cast<double>(comparison.above_two) / values, comparison.full_seconds,
               comparison.reduced_seconds);
  }
  fmt::print(
      "photographs: those whose pixels differ; differences are of values 0 to 255; times of one thread, reading left "
      "out\n");
}

void clean(const PrepareCommand& command, Progress& progress) {
  if (command.data->cache.empty()) fail_usage("which cache? Give --cache DIR with --clean");
  DERMATOME_CHECK(std::filesystem::is_directory(command.data->cache), "there is no cache folder {}",
                  command.data->cache);
  const auto removed = data::Cache(command.data->cache).clear();
  progress.message(fmt::format("removed {} entries, {}, from {}", removed.entries, data::bytes_text(removed.bytes),
                               command.data->cache));
}

void run_prepare(const PrepareCommand& command) {
  set_threads(command.threads);
  Progress progress;
  if (command.clean) return clean(command, progress);
  if (command.data->cache.empty() && !command.measure)
    fail_usage("where to? Give --cache DIR, a folder for the prepared pairs");
  const auto preparations = preparations_of(command);
  const auto samples = command.data->samples([&](const std::string& text) { progress.message(text); });
  if (command.measure) return measure(preparations, samples, progress);
  const auto cache = command.data->open_cache();
  catch_signals();
  try {
    fill_all(command, preparations, *cache, samples, progress);
  } catch (const StoppedBySignal&) {
    progress.message(fmt::format("stopped; {} entries are in {}, and the same command goes on from there",
                                 cache->usage().entries, cache->folder().string()));
    set_exit_code(128 + received_signal());
  }
}

}  // namespace

void add_prepare(CLI::App& app) {
  auto* sub = app.add_subcommand("prepare", "Decode and resize photographs and masks ahead of training, into a cache");
  auto command = std::make_shared<PrepareCommand>();
  command->data = add_data_options(*sub);
  auto* size = sub->add_option("--size", command->sizes, "Side of the squared photographs, pixels (repeatable)")
                   ->check(CLI::Range(1, data::kLargestSize))
                   ->allow_extra_args(false);
  sub->add_option(
      "settings", command->settings,
      "Instead of --size a recipe (.toml) and key=value assignments, as `train` takes them: the sizes of its stages");
  sub->add_option("--threads", command->threads, "Threads; 0: as many as there are cores")->capture_default_str();
  auto* unused = sub->add_flag("--remove-unused", command->remove_unused,
                               "Then remove the entries that these photographs at these sizes do not need");
  auto* cleaning = sub->add_flag("--clean", command->clean, "Empty the cache instead");
  auto* measuring = sub->add_flag(
      "--measure", command->measure,
      "Write nothing; print the error of reduced JPEG decoding beside full decoding, and the time of both");
  cleaning->excludes(size)->excludes(unused)->excludes(measuring);
  measuring->excludes(unused);
  sub->callback([command] { run_prepare(*command); });
}

}  // namespace dermatome
