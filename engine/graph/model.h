// Model: a network written in the graph language, ready to be put into a Graph at any batch and size.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/ast.h"
#include "engine/graph/builder.h"

namespace dermatome {

class Model {
 public:
  // A text with exactly one model. Throws UsageError with file, line, column and the offending text.
  static Model parse(std::string_view text, const std::string& file_name);
  // Throws Error when the file cannot be read.
  static Model load(const std::filesystem::path& path);

  const std::string& name() const { return declaration().name; }
  std::int64_t input_channels() const { return declaration().channels; }
  std::int64_t divisor() const { return declaration().divisor; }
  std::string canonical_text() const { return language::print(file_); }
  std::vector<std::string> groups() const;  // in the order of the text; empty where none is declared

  // How the nodes of a parameter group take part.
  using PhaseOf = std::function<Phase(const std::string& group)>;

  // Adds the network's nodes behind `image` [n, height, width, input_channels]; layers read and write states named
  // after the text. Returns what the model returns. Throws UsageError with the place in the text and the shapes; a side
  // that does not divide says which sizes near it do.
  Value append(Builder& builder, Value image, const PhaseOf& phase_of) const;

 private:
  const language::ModelDeclaration& declaration() const { return file_.models[0]; }

  language::File file_;
};

inline Phase inference_phase(const std::string&) {
  return {.training = false, .live_statistics = false};
}
inline Phase training_phase(const std::string&) {
  return {.training = true, .live_statistics = true};
}

}  // namespace dermatome
