// Weights from outside, from the command line: `convert`, `train --weights`, and predictions of weights that are no
// checkpoint of ours.
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/safetensors.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

class Weights : public CommandLine {
 protected:
  Weights() {
    const fs::path samples = fs::path(DERMATOME_SOURCE_DIR) / "tests/models/weights";
    for (const auto& sample : fs::directory_iterator(samples))
      if (sample.path().extension() != ".graph")
        fs::copy_file(sample.path(), folder_ / sample.path().filename().string());
  }

  static std::vector<std::string> predicting(const std::string& weights, const std::string& out) {
    return {"predict", "--weights", weights, "--model",   "tiny.graph", "--size",
            "32",      "--out",     out,     "--threads", "1",          image_of_all()};
  }
  static std::string image_of_all() { return kImages; }
};

TEST_F(Weights, ConvertWritesTheSameTensorsFromEveryKind) {
  for (const char* name : {"zip.pth", "stream.pth", "tar.pth", "fastai.h5", "wrapped.pth", "plain.safetensors"}) {
    const Outcome outcome = run({"convert", name, "out.safetensors"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_TRUE(outcome.out.starts_with("key ")) << outcome.out;
    EXPECT_NE(outcome.out.find("7 weights of 0.0 MB in f32, written to out.safetensors"), std::string::npos);
    const TensorFile converted = read_safetensors(folder_ / "out.safetensors");
    const TensorFile plain = read_safetensors(folder_ / "plain.safetensors");
    EXPECT_EQ(converted.tensors.size(), 7u) << name;
    for (const auto& [tensor, contents] : converted.tensors) {
      ASSERT_NE(plain.find(tensor), nullptr) << tensor;
      EXPECT_EQ(std::memcmp(contents.data(), plain.find(tensor)->data(), contents.bytes()), 0) << name << tensor;
    }
  }
}

TEST_F(Weights, ListTellsWhatBecomesOfEachEntryAndWritesNothing) {
  const auto files = std::distance(fs::directory_iterator(folder_.path()), {});
  const Outcome outcome = run({"convert", "--list", "types_stream.pth"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* row : {"conv1.weight             [4, 3, 3, 3]  f16   kept, converted to f32",
                          "bn1.num_batches_tracked  []            i64   left out: no floating-point numbers",
                          "out.bias                 [1]           f32   kept\n"})
    EXPECT_NE(outcome.out.find(row), std::string::npos) << row << "\n" << outcome.out;
  const Outcome renamed = run({"convert", "--list", "fastai.h5"});
  EXPECT_NE(renamed.out.find("renamed to conv1.weight"), std::string::npos) << renamed.out;
  EXPECT_LE(std::distance(fs::directory_iterator(folder_.path()), {}), files + 2) << "standard output and error";
}

TEST_F(Weights, ConvertRefusesInOneSentence) {
  expect_exactly(2, {"convert"},
                 "convert needs IN (A checkpoint of PyTorch (.pth, .pt, .h5 of fastai 0.7) or a safetensors file); "
                 "`dermatome convert --help` explains");
  expect_exactly(2, {"convert", "zip.pth"},
                 "where to? Give the output file, as in `dermatome convert zip.pth weights.safetensors`, or --list");
  expect_exactly(2, {"convert", "zip.pth", "out.pth"},
                 "the output is safetensors, so out.pth should end in .safetensors");
  expect_exactly(2, {"convert", "--list", "zip.pth", "out.safetensors"},
                 "--list only looks: give either it or an output file");
  expect_exactly(1, {"convert", "--list", "nowhere.pth"}, "cannot read nowhere.pth: No such file or directory");
  expect_exactly(1, {"convert", "--list", "data"}, "cannot read data: it is not a regular file");
  expect_exactly(
      1, {"convert", "refused_command.pth", "out.safetensors"},
      "refused_command.pth: the pickle asks for posix.system, which is refused: only dictionaries of tensors "
      "are read (in Python: torch.save(model.state_dict(), FILE))");
  EXPECT_FALSE(fs::exists(folder_ / "out.safetensors"));
  expect_refused(1, {"convert", "zip.pth", "nowhere/out.safetensors"}, {"cannot write nowhere/out.safetensors"});
}

TEST_F(Weights, TrainingStartsFromAFileOfAnyKind) {
  for (const char* name : {"tar.pth", "fastai.h5", "plain.safetensors"}) {
    const Outcome outcome = run(training("r", {"--overwrite", "--weights", name, "epochs=1", "lr=1e-9"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find(std::string("7 of tiny's 7 weights and statistics are loaded from ") + name),
              std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find(std::string("tiny from ") + name), std::string::npos) << outcome.err;
    const TensorFile run_file = read_safetensors(folder_ / "r/last.safetensors");
    const TensorFile plain = read_safetensors(folder_ / "plain.safetensors");
    const auto trained = run_file.find("conv1.weight")->as<float>();
    const auto given = plain.find("conv1.weight")->as<float>();
    for (std::size_t i = 0; i < given.size(); ++i) ASSERT_NEAR(trained[i], given[i], 1e-6) << name;
  }
}

TEST_F(Weights, AnEncoderFillsTheEncoderAndTheRestIsToldByName) {
  const Outcome outcome = run(training("r", {"--weights", "encoder.pth", "epochs=1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part : {"5 of tiny's 7 weights and statistics are loaded from encoder.pth\n",
                           "missing in the file, and initialised (2): out.weight, out.bias\n",
                           "for a classifier that the model does not have (2): fc.weight, fc.bias\n"})
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  const auto info = nlohmann::json::parse(text_of(folder_ / "r/run.json")).at("weights");
  EXPECT_EQ(info.at("loaded"), (std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean",
                                                         "bn1.running_var"}));
  EXPECT_EQ(info.at("missing"), (std::vector<std::string>{"out.weight", "out.bias"}));
}

TEST_F(Weights, AnEarlierRunIsWeightsToo) {
  train("first");
  const Outcome outcome = run(training("second", {"--weights", "first", "epochs=1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("7 of tiny's 7 weights and statistics are loaded from first/best.safetensors"),
            std::string::npos)
      << outcome.err;
  const Outcome same = run(training("second", {"--weights", "second", "--overwrite", "epochs=1"}));
  EXPECT_EQ(same.code, 0) << same.err;
}

TEST_F(Weights, WithoutAFileTheRunSaysWhereToGetOne) {
  const Outcome outcome = run(training("r", {"epochs=1"}));
  EXPECT_NE(
      outcome.err.find("random weights; --weights FILE starts from trained ones, and docs/weights.md says where to "
                       "get them\n"),
      std::string::npos)
      << outcome.err;
  EXPECT_TRUE(fs::exists(fs::path(DERMATOME_SOURCE_DIR) / "docs/weights.md"));
}

TEST_F(Weights, WhatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  folder_.add("other.graph", std::string_view("model other(image: 3 channels) {\n  head = conv2d(image, 1, kernel=1)\n"
                                              "  return head\n}\n"));
  expect_refused(1, training("r", {"--weights", "nowhere.pth"}), {"the weights file nowhere.pth does not exist"});
  expect_refused(1, training("r", {"--weights", "data"}), {"data holds no checkpoint"});
  const Outcome outcome = run(training("r", {"--weights", "zip.pth", "model=other.graph"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err,
            "dermatome: zip.pth: none of its weights belongs to other: it holds conv1.weight, bn1.weight, bn1.bias, "
            "..., and the model has head.weight, head.bias\n");
  EXPECT_FALSE(fs::exists(folder_ / "r"));
  expect_exactly(2, {"train", "--run", "r", "--resume", "--weights", "zip.pth"},
                 "--resume and --weights cannot be given together");
}

TEST_F(Weights, PredictionsOfEveryKindAreTheSame) {
  std::string first;
  for (const char* name : {"zip.pth", "stream.pth", "tar.pth", "plain.safetensors"}) {
    const Outcome outcome = run(predicting(name, "p"));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const std::string table = text_of(folder_ / "p/predictions.csv");
    if (first.empty()) first = table;
    EXPECT_EQ(table, first) << name;
  }
  const Outcome scored = run({"evaluate", "--weights", "tar.pth", "--model", "tiny.graph", "--size", "32", "--data",
                              "data", "--threads", "1"});
  EXPECT_EQ(scored.code, 0) << scored.err;
}

TEST_F(Weights, PredictionsAskForTheNetwork) {
  expect_exactly(2, {"predict", "--weights", "zip.pth", "--out", "p", kImages},
                 "zip.pth holds weights and does not say of which network: add --model unet34 --size 256, or whatever "
                 "it is");
  expect_exactly(2, {"predict", "--weights", "zip.pth", "--model", "tiny.graph", "--out", "p", kImages},
                 "--model needs --size N, the side of the network's input in pixels");
  expect_exactly(1, predicting("encoder.pth", "p"), "encoder.pth lacks 2 of tiny's weights: out.weight, out.bias");
  EXPECT_FALSE(fs::exists(folder_ / "p"));
}

TEST_F(Weights, ACheckpointOfAnotherGraphIsRefusedWithItsNames) {
  train("r");
  folder_.add("other.graph", std::string_view("model other(image: 3 channels) {\n  conv1 = conv2d(image, 4, kernel=1)\n"
                                              "  return conv1\n}\n"));
  expect_exactly(
      1, {"predict", "--weights", "r", "--model", "other.graph", "--size", "32", "--out", "p", kImages},
      "r/best.safetensors: none of its weights fits other: conv1.weight: [4, 3, 3, 3] instead of [4, 3, 1, 1]");
}

TEST_F(Weights, ExportWritesARunForOtherPrograms) {
  train("r");
  for (const char* out : {"m.onnx", "m.safetensors"}) {
    const Outcome outcome = run({"export", "--run", "r", "--out", out});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, fmt::format("tiny of r/best.safetensors written to {}\n", out));
    EXPECT_TRUE(fs::exists(folder_ / out));
  }
  const TensorFile written = read_safetensors(folder_ / "m.safetensors");
  const TensorFile checkpoint = read_safetensors(folder_ / "r/best.safetensors");
  EXPECT_EQ(written.tensors.size(), 7u);
  for (const auto& [name, tensor] : written.tensors)
    EXPECT_EQ(std::memcmp(tensor.data(), checkpoint.find(name)->data(), tensor.bytes()), 0) << name;
  EXPECT_EQ(written.metadata.at("dermatome.threshold"), "0.5");
  EXPECT_EQ(written.metadata.at("dermatome.size"), "32");
  EXPECT_NE(text_of(folder_ / "m.onnx").find("dermatome.threshold"), std::string::npos);
  const Outcome whole = run({"export", "--weights", "tar.pth", "--model", "tiny.graph", "--out", "m.onnx",
                             "--fold-batch-norm", "--normalise", "--pad", "--probability"});
  EXPECT_EQ(whole.code, 0) << whole.err;
}

TEST_F(Weights, AnExportIsPredictedAsItsRunWas) {
  ASSERT_EQ(run(training("r", {"epochs=1", "resize=pad", "colour_constancy=gray-world"})).code, 0);
  ASSERT_EQ(run({"export", "--run", "r", "--out", "m.safetensors"}).code, 0);
  ASSERT_EQ(run({"convert", "m.safetensors", "converted.safetensors"}).code, 0);
  ASSERT_EQ(run({"convert", "r/best.safetensors", "checkpoint.safetensors"}).code, 0);
  ASSERT_EQ(run({"predict", "--run", "r", "--out", "r_masks", "--threads", "1", image_of_all()}).code, 0);
  for (const char* file : {"m.safetensors", "converted.safetensors", "checkpoint.safetensors"}) {
    SCOPED_TRACE(file);
    const Outcome outcome = run({"predict", "--weights", file, "--out", "p", "--threads", "1", image_of_all()});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with(
        fmt::format("{} says: model tiny, size 32, resize pad, colour_constancy gray-world, threshold 0.5\n", file)))
        << outcome.err;
    EXPECT_EQ(text_of(folder_ / "p/predictions.csv"), text_of(folder_ / "r_masks/predictions.csv"));
    for (const auto& id : ids_) {
      const std::string mask = id + "_segmentation.png";
      EXPECT_EQ(text_of(folder_ / "p" / mask), text_of(folder_ / "r_masks" / mask));
    }
  }
}

TEST_F(Weights, AnExportCutsWhereItsRunWasFoundToCutBest) {
  train("r");
  const Outcome found = run({"evaluate", "--run", "r", "--data", "data", "--threads", "1", "--threshold", "best"});
  ASSERT_EQ(found.code, 0) << found.err;
  auto curves = nlohmann::json::parse(text_of(folder_ / "r/threshold.json"));
  auto& jaccard = curves.at(0).at("jaccard");
  for (std::size_t i = 0; i < jaccard.size(); ++i) jaccard[i] = i == 16 ? 0.9 : 0.1;  // at 0.34
  folder_.add("r/threshold.json", std::string_view(curves.dump()));
  const auto threshold_with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"export", "--run", "r", "--out", "m.safetensors"});
    const Outcome outcome = run(more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const std::string last =
        more.size() == 5 ? "; its threshold is 0.34, found in r/threshold.json\n" : "safetensors\n";
    EXPECT_TRUE(outcome.out.ends_with(last)) << outcome.out;
    return read_safetensors(folder_ / "m.safetensors").metadata.at("dermatome.threshold");
  };
  EXPECT_EQ(threshold_with({}), "0.34");
  EXPECT_EQ(threshold_with({"--threshold", "0.6"}), "0.6");
  curves.at(0).at("of").at("steps_done") = 12345;
  folder_.add("r/threshold.json", std::string_view(curves.dump()));
  ASSERT_EQ(run({"export", "--run", "r", "--out", "m.safetensors"}).code, 0);
  EXPECT_EQ(read_safetensors(folder_ / "m.safetensors").metadata.at("dermatome.threshold"), "0.5")
      << "the curve is of another state of the checkpoint";
  expect_exactly(2, {"export", "--run", "r", "--out", "m.safetensors", "--threshold", "2"},
                 "--threshold must be a number from 0 to 1, not '2'");
}

TEST_F(Weights, OptionsGoBeforeWhatAnExportSays) {
  ASSERT_EQ(run(training("r", {"epochs=1", "resize=pad"})).code, 0);
  ASSERT_EQ(run({"export", "--run", "r", "--out", "m.safetensors"}).code, 0);
  const Outcome scored = run({"evaluate", "--weights", "m.safetensors", "--model", "tiny.graph", "--size", "64",
                              "--threshold", "0.25", "--data", "data", "--threads", "1", "--json", "e.json"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  EXPECT_NE(scored.err.find("m.safetensors says: resize pad, colour_constancy none\n"), std::string::npos)
      << scored.err;
  const auto about = nlohmann::json::parse(text_of(folder_ / "e.json"));
  EXPECT_EQ(about.at("size"), 64);
  EXPECT_EQ(about.at("threshold"), 0.25);
}

TEST_F(Weights, MetadataThatMakeNoSenseAreRefused) {
  train("r");
  ASSERT_EQ(run({"export", "--run", "r", "--out", "m.safetensors"}).code, 0);
  const auto refused = [&](const std::string& key, const std::string& text, const std::string& reason) {
    TensorFile file = read_safetensors(folder_ / "m.safetensors");
    file.metadata.at(key) = text;
    write_safetensors(folder_ / "bad.safetensors", file);
    expect_refused(1, {"predict", "--weights", "bad.safetensors", "--out", "p", image_of_all()},
                   {"bad.safetensors: its metadata " + key, reason});
  };
  refused("dermatome.size", "0", "'0' is no number from 1 to 8192");
  refused("dermatome.threshold", "half", "'half' is no number from 0 to 1");
  refused("dermatome.resize", "crop", "crop");
  EXPECT_FALSE(fs::exists(folder_ / "p"));
}

TEST_F(Weights, ACheckpointOfANewerVersionIsRefusedByEveryCommand) {
  train("r");
  TensorFile file = read_safetensors(folder_ / "r/best.safetensors");
  auto json = nlohmann::json::parse(file.metadata.at("dermatome"));
  json["format"] = 99;
  json["version"] = "99.0";
  file.metadata["dermatome"] = json.dump();
  write_safetensors(folder_ / "newer.safetensors", file, Integrity::required);
  const std::string sentence = "newer.safetensors was written by a newer dermatome (99.0); this one is ";
  const std::vector<std::vector<std::string>> commands{
      training("second", {"--weights", "newer.safetensors"}),
      {"convert", "newer.safetensors", "out.safetensors"},
      predicting("newer.safetensors", "p"),
      {"predict", "--weights", "newer.safetensors", "--out", "p", image_of_all()},
      {"evaluate", "--weights", "newer.safetensors", "--model", "tiny.graph", "--size", "32", "--data", "data"},
      {"export", "--weights", "newer.safetensors", "--model", "tiny.graph", "--out", "m.onnx"}};
  for (const auto& arguments : commands) {
    SCOPED_TRACE(arguments.front());
    expect_failed(arguments, {sentence});
  }
  for (const char* name : {"second", "out.safetensors", "p", "m.onnx"})
    EXPECT_FALSE(fs::exists(folder_ / name)) << name;
}

TEST_F(Weights, ExportRefusesInOneSentence) {
  expect_exactly(2, {"export", "--weights", "zip.pth"}, "--out is required; `dermatome export --help` explains");
  expect_exactly(2, {"export", "--weights", "zip.pth", "--model", "tiny.graph", "--out", "m.pth"},
                 "m.pth should end in .onnx or .safetensors, which says what to write");
  expect_exactly(2, {"export", "--weights", "zip.pth", "--model", "tiny.graph", "--out", "m.safetensors", "--pad"},
                 "--fold-batch-norm, --normalise, --pad and --probability are for an .onnx file; safetensors holds "
                 "weights");
  expect_refused(2, {"export", "--out", "m.onnx"}, {"which model?"});
  expect_refused(2, {"export", "--weights", "zip.pth", "--out", "m.onnx"}, {"does not say of which network"});
  expect_refused(1, {"export", "--weights", "encoder.pth", "--model", "tiny.graph", "--out", "m.onnx"},
                 {"lacks 2 of tiny's weights"});
  EXPECT_FALSE(fs::exists(folder_ / "m.onnx"));
}

}  // namespace
}  // namespace dermatome::cli
