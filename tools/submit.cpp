// dermatome submit: masks of a challenge's photographs as the zip archive that its server takes.
#include <fmt/format.h>

#include <filesystem>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/files.h"
#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/model_options.h"
#include "tools/progress.h"
#include "tools/training/predictor_files.h"
#include "tools/training/submission.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

struct SubmitCommand {
  std::string images, out;
  int batch = 8;
  std::shared_ptr<RunOptions> options;
  std::shared_ptr<ModelOptions> model;
};

// Told before an hour of predicting.
void check_out(const fs::path& out) {
  if (data::lower_case(out.extension().string()) != ".zip") fail_usage("{} should end in .zip", out.string());
  std::error_code ignored;
  DERMATOME_CHECK(!fs::is_directory(out, ignored), "{} is a folder; --out names the archive to write", out.string());
  const fs::path folder = out.has_parent_path() ? out.parent_path() : fs::path(".");
  DERMATOME_CHECK(fs::is_directory(folder, ignored), "{} cannot be written: the folder {} does not exist", out.string(),
                  folder.string());
}

std::string sentence_of(std::size_t masks, const std::string& out) {
  const std::string part = training::part_of_that_size(masks);
  return fmt::format("{} mask{} in {}, {}", masks, masks == 1 ? "" : "s", out,
                     part.empty() ? "which no part of ISIC 2016, 2017 or 2018 has: is the folder whole?" : part);
}

void run_submit(const SubmitCommand& command) {
  command.options->apply();
  check_out(command.out);
  command.model->checkpoints();  // what is missing there is told before folders are searched
  DERMATOME_CHECK(fs::is_directory(command.images), "the folder {} does not exist", command.images);
  const fs::path folder = command.images;
  const auto photographs = data::find_images(std::span(&folder, 1), false);
  const auto ids = training::submission_ids(photographs);
  Progress progress;
  training::Ensemble ensemble = command.model->open(*command.options, progress);
  std::vector<training::SubmissionMask> masks(photographs.size());
  const auto failures = training::predict_files(
      ensemble, photographs, {.batch = command.batch, .postprocessing = command.model->postprocessing},
      [&](std::size_t i, const data::StoredGrid& grid, const training::Prediction& prediction) {
        masks[i] = {
            .id = ids[i], .png = data::encode_mask_png(prediction.mask), .width = grid.width, .height = grid.height};
      },
      [&](std::size_t done, std::size_t total) { progress.count("predicting", done, total); });
  if (!failures.empty()) {
    fail("{} was not written: {}", command.out,
         training::describe(failures, photographs.size(), "photographs cannot be predicted"));
  }
  const auto archive = training::submission_archive(masks);
  training::check_submission(archive, masks, command.out);
  data::write_file(command.out, std::span(reinterpret_cast<const std::uint8_t*>(archive.data()), archive.size()));
  progress.message(sentence_of(masks.size(), command.out));
}

}  // namespace

void add_submit(CLI::App& app) {
  auto* sub = app.add_subcommand("submit", "Write the zip archive of masks that the ISIC challenge's server takes");
  auto command = std::make_shared<SubmitCommand>();
  command->model = add_model_options(*sub);
  command->model->batch_option = "--batch ";
  sub->add_option("--images", command->images, "Folder of the challenge's photographs, ISIC_<7 digits>.jpg")
      ->required();
  sub->add_option("--out", command->out, "The .zip file to write; one that is there is replaced in the end")
      ->required();
  sub->add_option("--batch", command->batch, "Photographs that go through the network together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->options = add_run_options(*sub);
  sub->callback([command] { run_submit(*command); });
}

}  // namespace dermatome
