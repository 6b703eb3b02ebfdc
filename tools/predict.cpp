// dermatome predict: masks of photographs, at each photograph's own size.
#include <filesystem>

#include "data/image/outline.h"
#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/progress.h"
#include "tools/training/predictor.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

struct PredictCommand {
  std::vector<std::string> inputs;
  std::string out;
  int size = 0;
  bool probabilities = false;
  bool overlay = false;
  std::shared_ptr<RunOptions> options;
  std::shared_ptr<WeightsOption> weights;
};

// The photograph in its stored grid with the mask's outline, as thick as its size asks.
data::Image overlay_of(const data::Photograph& photograph, const data::Image& mask) {
  data::Image picture = data::to_stored(photograph.image, photograph.orientation);
  data::draw_outline(picture, mask, {.r = 255, .g = 0, .b = 200},
                     std::max(1, std::min(picture.width, picture.height) / 200));
  return picture;
}

// Two photographs of one stem would overwrite each other's masks.
void check_stems(const std::vector<fs::path>& images) {
  std::map<std::string, fs::path> seen;
  for (const auto& image : images) {
    const auto [other, added] = seen.emplace(image.stem().string(), image);
    DERMATOME_CHECK(added, "{} and {} would write the same mask {}_segmentation.png; predict them into two folders",
                    other->second.string(), image.string(), image.stem().string());
  }
}

void run_predict(const PredictCommand& command) {
  command.options->apply();
  command.options->type();
  std::vector<fs::path> paths(command.inputs.begin(), command.inputs.end());
  const auto images = data::find_images(paths, true);
  check_stems(images);
  training::Predictor predictor(command.weights->path(), command.options->device(), command.options->compile,
                                command.size);
  std::error_code error;
  fs::create_directories(command.out, error);
  DERMATOME_CHECK(!error && fs::is_directory(command.out), "the folder {} cannot be made ({})", command.out,
                  error.message());
  const fs::path out(command.out);
  Progress progress;
  constexpr std::size_t kAtOnce = 8;
  for (std::size_t next = 0; next < images.size(); next += kAtOnce) {
    const std::size_t end = std::min(images.size(), next + kAtOnce);
    std::vector<data::Photograph> photographs;
    for (std::size_t i = next; i < end; ++i) photographs.push_back(data::read_rgb(images[i]));
    const auto predictions = predictor.predict(photographs);
    for (std::size_t i = next; i < end; ++i) {
      const auto& prediction = predictions[i - next];
      const std::string stem = images[i].stem().string();
      data::write_png(out / (stem + "_segmentation.png"), prediction.mask);
      if (command.probabilities) {
        data::write_npy(out / (stem + "_probability.npy"), prediction.probability, prediction.height, prediction.width);
      }
      if (command.overlay)
        data::write_png(out / (stem + "_overlay.png"), overlay_of(photographs[i - next], prediction.mask));
      progress.count("predicting", i + 1, images.size());
    }
  }
  progress.message(fmt::format("{} masks in {}", images.size(), out.string()));
}

}  // namespace

void add_predict(CLI::App& app) {
  auto* sub = app.add_subcommand("predict", "Write the masks of photographs, at their own size");
  auto command = std::make_shared<PredictCommand>();
  command->weights = add_weights_option(*sub);
  sub->add_option("images", command->inputs, "Photographs (JPEG, PNG) and folders of them")->required();
  sub->add_option("--out", command->out, "Folder for <name>_segmentation.png")->required();
  sub->add_option("--size", command->size, "Side of the network's input in pixels; 0: as trained")
      ->capture_default_str()
      ->check(CLI::Range(0, 8192));
  sub->add_flag("--probabilities", command->probabilities,
                "Also write <name>_probability.npy, float32 [height, width]");
  sub->add_flag("--overlay", command->overlay, "Also write <name>_overlay.png, the photograph with the outline");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_predict(*command); });
}

}  // namespace dermatome
