// Many photographs through an Ensemble, a batch at a time; a bad one does not stop the others.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tools/training/ensemble.h"
#include "tools/training/postprocessing.h"

namespace dermatome::training {

struct FilesOptions {
  int batch = 8;  // photographs that go through the networks together
  bool keep_probabilities = false;
  PostProcessing postprocessing = {};
  std::function<bool()> stop_requested = {};  // asked before each batch; what was not begun is then left
  // Instead of reading the file as that member does; on any thread.
  std::function<data::PreparedPhotograph(std::size_t index, const Predictor& reader)> read = {};
};

// What is done with what the members say of a photograph, one an entry: called once a photograph, on any thread,
// several at a time. What it throws counts as that photograph's failure.
using OnMaps =
    std::function<void(std::size_t index, const data::StoredGrid& grid, std::span<const MemberMaps> members)>;

// The same with the mask of all members together.
using OnPrediction = std::function<void(std::size_t index, const data::StoredGrid& grid, Prediction& prediction)>;

// Told after each batch, on the calling thread.
using OnProgress = std::function<void(std::size_t done, std::size_t total)>;

struct FileFailure {
  std::size_t index = 0;  // of the file
  std::string cause;      // a sentence that names it
};

// Reads, predicts and hands out the files in batches; the last one may be smaller. What could not be read or handed out
// comes back, sorted by index; an error of a network itself is thrown.
std::vector<FileFailure> map_files(Ensemble& ensemble, std::span<const std::filesystem::path> files,
                                   const FilesOptions& options, const OnMaps& on_maps, const OnProgress& progress = {});

// The mean over the members and, where the ensemble has it, over test-time augmentation, cut at the threshold and
// post-processed.
std::vector<FileFailure> predict_files(Ensemble& ensemble, std::span<const std::filesystem::path> files,
                                       const FilesOptions& options, const OnPrediction& on_prediction,
                                       const OnProgress& progress = {});

// "2 of 5 WHAT:" and a line for each cause, with WHAT "photographs cannot be read", for example; one alone is its
// cause. Empty for no failures.
std::string describe(const std::vector<FileFailure>& failures, std::size_t total, const std::string& what);

}  // namespace dermatome::training
