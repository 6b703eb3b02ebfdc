// Decoding and finishing on all threads, the network in between.
#include "tools/training/predictor_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <new>

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

constexpr std::size_t kListedFailures = 10;

// A photograph between its steps. No exception may leave an OpenMP region: the cause is kept here.
struct Job {
  std::size_t index = 0;
  data::PreparedPhotograph photograph;
  std::string cause;
};

template <typename Action>
void attempt(Job& job, const std::filesystem::path& file, const Action& action) {
  try {
    action();
  } catch (const std::bad_alloc&) {
    job.cause = file.string() + " does not fit in memory";
  } catch (const std::exception& error) {
    job.cause = error.what();
  }
}

// On all threads, unless there is one alone, which may then use them itself.
template <typename Action>
void for_each_job(std::vector<Job>& jobs, const Action& action) {
  const auto count = static_cast<std::int64_t>(jobs.size());
#pragma omp parallel for schedule(dynamic) if (count > 1)
  for (std::int64_t i = 0; i < count; ++i) action(static_cast<std::size_t>(i));
}

void move_failures(std::vector<Job>& jobs, std::vector<FileFailure>& failures) {
  for (auto& job : jobs) {
    if (!job.cause.empty()) failures.push_back({job.index, std::move(job.cause)});
  }
  std::erase_if(jobs, [](const Job& job) { return job.photograph.image.pixels.empty(); });
}

}  // namespace

std::vector<FileFailure> predict_files(Predictor& predictor, std::span<const std::filesystem::path> files,
                                       const FilesOptions& options, const OnPrediction& on_prediction,
                                       const OnProgress& progress) {
  DERMATOME_CHECK(options.batch >= 1, "a batch cannot hold {} photographs", options.batch);
  std::vector<FileFailure> failures;
  const auto batch = static_cast<std::size_t>(options.batch);
  for (std::size_t first = 0; first < files.size(); first += batch) {
    std::vector<Job> jobs(std::min(batch, files.size() - first));
    for_each_job(jobs, [&](std::size_t i) {
      Job& job = jobs[i];
      job.index = first + i;
      attempt(job, files[job.index], [&] {
        job.photograph =
            options.read ? options.read(job.index) : data::read_prepared(files[job.index], predictor.size());
      });
    });
    move_failures(jobs, failures);
    if (!jobs.empty()) {
      std::vector<data::Image> inputs;
      for (auto& job : jobs) inputs.push_back(std::move(job.photograph.image));
      const auto maps = predictor.probabilities(inputs);
      for_each_job(jobs, [&](std::size_t i) {
        Job& job = jobs[i];
        attempt(job, files[job.index], [&] {
          Prediction prediction = predictor.finish(maps[i], job.photograph.stored, options.keep_probabilities);
          on_prediction(job.index, job.photograph.stored, prediction);
        });
      });
      move_failures(jobs, failures);
    }
    if (progress) progress(std::min(first + batch, files.size()), files.size());
  }
  std::sort(failures.begin(), failures.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
  return failures;
}

std::string describe(const std::vector<FileFailure>& failures, std::size_t total, const std::string& what) {
  if (failures.empty()) return {};
  if (failures.size() == 1) return failures.front().cause;
  std::vector<std::string> causes;
  for (std::size_t i = 0; i < std::min(kListedFailures, failures.size()); ++i) causes.push_back(failures[i].cause);
  const std::size_t more = failures.size() - causes.size();
  return fmt::format("{} of {} {}: {}{}", failures.size(), total, what, fmt::join(causes, "; "),
                     more > 0 ? fmt::format("; and {} more", more) : "");
}

}  // namespace dermatome::training
