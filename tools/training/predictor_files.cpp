// Decoding and finishing on all threads, the network in between.
#include "tools/training/predictor_files.h"

#include <algorithm>
#include <new>

#include "data/name_list.h"
#include "engine/core/error.h"

namespace dermatome::training {
namespace {

// A photograph between its steps. No exception may leave an OpenMP region: the cause is kept here.
struct Job {
  std::size_t index = 0;
  std::vector<data::Image> inputs;  // one a reader
  data::StoredGrid grid;
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
  std::erase_if(jobs, [](const Job& job) { return job.inputs.empty(); });
}

void read_inputs(Job& job, const Ensemble& ensemble, const std::filesystem::path& file, const FilesOptions& options) {
  std::vector<data::Image> inputs;
  for (const Predictor* reader : ensemble.readers()) {
    data::PreparedPhotograph photograph = options.read ? options.read(job.index, *reader) : reader->read(file);
    inputs.push_back(std::move(photograph.image));
    job.grid = photograph.stored;
  }
  job.inputs = std::move(inputs);
}

// What each reader read of all jobs, moved out of them.
std::vector<std::vector<data::Image>> inputs_by_reader(std::vector<Job>& jobs, std::size_t readers) {
  std::vector<std::vector<data::Image>> inputs(readers);
  for (auto& job : jobs) {
    for (std::size_t r = 0; r < readers; ++r) inputs[r].push_back(std::move(job.inputs[r]));
  }
  return inputs;
}

}  // namespace

std::vector<FileFailure> map_files(Ensemble& ensemble, std::span<const std::filesystem::path> files,
                                   const FilesOptions& options, const OnMaps& on_maps, const OnProgress& progress) {
  DERMATOME_CHECK(options.batch >= 1, "a batch cannot hold {} photographs", options.batch);
  std::vector<FileFailure> failures;
  const auto batch = static_cast<std::size_t>(options.batch);
  for (std::size_t first = 0; first < files.size(); first += batch) {
    if (options.stop_requested && options.stop_requested()) break;
    std::vector<Job> jobs(std::min(batch, files.size() - first));
    for_each_job(jobs, [&](std::size_t i) {
      Job& job = jobs[i];
      job.index = first + i;
      attempt(job, files[job.index], [&] { read_inputs(job, ensemble, files[job.index], options); });
    });
    move_failures(jobs, failures);
    if (!jobs.empty()) {
      std::vector<data::StoredGrid> grids;
      for (const auto& job : jobs) grids.push_back(job.grid);
      const auto maps = ensemble.maps(inputs_by_reader(jobs, ensemble.readers().size()), grids);
      for_each_job(jobs, [&](std::size_t i) {
        attempt(jobs[i], files[jobs[i].index], [&] { on_maps(jobs[i].index, jobs[i].grid, maps[i]); });
      });
      move_failures(jobs, failures);
    }
    if (progress) progress(std::min(first + batch, files.size()), files.size());
  }
  std::sort(failures.begin(), failures.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
  return failures;
}

std::vector<FileFailure> predict_files(Ensemble& ensemble, std::span<const std::filesystem::path> files,
                                       const FilesOptions& options, const OnPrediction& on_prediction,
                                       const OnProgress& progress) {
  const double threshold = ensemble.threshold();
  const auto predict = [&](std::size_t index, const data::StoredGrid& grid, std::span<const MemberMaps> members) {
    std::vector<ProbabilityMap> maps;
    for (const auto& member : members) maps.push_back(member.mean);
    const bool keep = options.keep_probabilities || options.postprocessing.any();  // the lesion's mean changes
    Prediction prediction = to_stored_grid(maps, grid, threshold, keep);
    apply(options.postprocessing, prediction);
    on_prediction(index, grid, prediction);
  };
  return map_files(ensemble, files, options, predict, progress);
}

std::string describe(const std::vector<FileFailure>& failures, std::size_t total, const std::string& what) {
  if (failures.empty()) return {};
  if (failures.size() == 1) return failures.front().cause;
  std::vector<std::string> causes;
  for (const auto& failure : failures) causes.push_back(failure.cause);
  return fmt::format("{} of {} {}:{}", failures.size(), total, what, data::listed(causes));
}

}  // namespace dermatome::training
