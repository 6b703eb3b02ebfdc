// Networks by name and by path.
#include "models/builtin.h"

#include "tests/models/support.h"

namespace dermatome {
namespace {

using testing::bytes_of;
using testing::expect_parts;
using testing::message_of;
using testing::put_bytes;
using testing::TemporaryFolder;

TEST(BuiltinModels, AreTheGraphFilesOfTheRepository) {
  const auto folder = std::filesystem::path(DERMATOME_SOURCE_DIR) / "models";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".graph") continue;
    ++files;
    EXPECT_EQ(builtin_model_text(entry.path().stem().string()), bytes_of(entry.path())) << entry.path();
  }
  EXPECT_EQ(builtin_model_names().size(), files);
  EXPECT_GE(files, 3u);
}

TEST(BuiltinModels, AreFoundByName) {
  for (const auto& name : builtin_model_names()) EXPECT_EQ(find_model(name).name(), name);
}

TEST(BuiltinModels, AnUnknownNameIsAnErrorWithTheNearest) {
  const std::string message = message_of<UsageError>([] { find_model("unet43"); });
  expect_parts(message, {"'unet43'", "did you mean 'unet34'?", "resnet34, unet34, unet34_large_head", ".graph file"});
  expect_parts(message_of<UsageError>([] { find_model("transformer"); }), {"'transformer'", "resnet34"});
  expect_parts(message_of<UsageError>([] { builtin_model_text("resnet"); }), {"'resnet'"});
}

TEST(BuiltinModels, AFileIsFoundByItsPath) {
  const TemporaryFolder folder;
  put_bytes(folder / "tiny.graph",
            "model tiny(image: 1 channels) {\n  y = conv2d(image, 1, kernel=1)\n  return y\n}\n");
  EXPECT_EQ(find_model((folder / "tiny.graph").string()).name(), "tiny");
  put_bytes(folder / "odd", "model odd(image: 1 channels) { return relu(image) }");
  EXPECT_EQ(find_model((folder / "odd").string()).name(), "odd");
}

TEST(BuiltinModels, AFileThatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  expect_parts(message_of([&] { find_model("missing.graph"); }), {"missing.graph", "cannot be read"});
  std::filesystem::create_directory(folder / "folder.graph");
  expect_parts(message_of([&] { find_model((folder / "folder.graph").string()); }), {"folder.graph", "cannot be read"});
  put_bytes(folder / "empty.graph", "");
  expect_parts(message_of<UsageError>([&] { find_model((folder / "empty.graph").string()); }),
               {"empty.graph", "exactly one model", "0"});
}

TEST(BuiltinModels, ErrorsInAFileNameIt) {
  const TemporaryFolder folder;
  put_bytes(folder / "bad.graph", "model bad(image: 1 channels) {\n  return\n}\n");
  expect_parts(message_of<UsageError>([&] { find_model((folder / "bad.graph").string()); }), {"bad.graph:3:1"});
}

}  // namespace
}  // namespace dermatome
