// Reading unet34.json, and comparing tensors with what it says about them.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace dermatome::golden {

using Json = nlohmann::json;

inline const Json& file() {
  static const Json json = [] {
    std::ifstream stream(std::filesystem::path(DERMATOME_SOURCE_DIR) / "tests/golden/unet34.json");
    return Json::parse(stream);
  }();
  return json;
}

// f32 or f64 in host memory, as doubles.
inline std::vector<double> doubles_of(const Tensor& tensor) {
  if (tensor.type() == DType::f64) return {tensor.as<double>().begin(), tensor.as<double>().end()};
  return {tensor.as<float>().begin(), tensor.as<float>().end()};
}

inline double norm_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

// What PyTorch found in f64 about one tensor, and how far its own f32 run was from that.
struct Record {
  explicit Record(const Json& json)
      : norm(json.at("norm")),
        sum(json.at("sum")),
        samples(json.at("samples")),
        distance_f32(json.value("distance_f32", 0.0)) {}

  // Relative distance of the sampled entries; infinite for NaN.
  double sample_distance(const std::vector<double>& values) const {
    double apart = 0;
    for (std::size_t j = 0; j < samples.size(); ++j) {
      const double difference = values[j * values.size() / samples.size()] - samples[j];
      apart += difference * difference;
    }
    return std::isfinite(apart) ? std::sqrt(apart) / norm_of(samples) : INFINITY;
  }
  // The largest of the relative distances of norm, sum and samples; infinite for NaN.
  double distance(const std::vector<double>& values) const {
    double total = 0;
    for (const double value : values) total += value;
    const double size = std::sqrt(static_cast<double>(values.size()));
    const double worst = std::max(
        {sample_distance(values), std::abs(norm_of(values) / norm - 1), std::abs(total - sum) / (norm * size)});
    return std::isfinite(worst) && std::isfinite(total) ? worst : INFINITY;
  }

  double norm;
  double sum;
  std::vector<double> samples;
  double distance_f32;
};

using Tensors = std::map<std::string, Tensor>;

// Compares one tensor after the other and remembers the worst.
class Comparison {
 public:
  void number(const std::string& name, double ours, double golden) { note(name, std::abs(ours / golden - 1)); }
  void tensor(const std::string& name, const Tensor& ours, const Json& golden) {
    note(name, Record(golden).distance(doubles_of(ours)));
  }
  // Every tensor that the file knows, and no others.
  void tensors(const std::string& what, const Tensors& ours, const Json& golden) {
    for (const auto& [name, record] : golden.items()) {
      const auto found = ours.find(name);
      if (found == ours.end()) {
        note(what + " " + name + " (missing)", INFINITY);
      } else {
        tensor(what + " " + name, found->second, record);
      }
    }
    for (const auto& [name, value] : ours) {
      if (!golden.contains(name)) note(what + " " + name + " (unknown to PyTorch)", INFINITY);
    }
  }

  bool within(double tolerance) const { return count_ > 0 && worst_ <= tolerance; }
  std::string summary() const { return fmt::format("{} compared, the worst {:.2g} ({})", count_, worst_, worst_name_); }

 private:
  void note(const std::string& name, double distance) {
    ++count_;
    if (distance <= worst_) return;
    worst_ = std::isnan(distance) ? INFINITY : distance;
    worst_name_ = name;
  }

  int count_ = 0;
  double worst_ = -1;
  std::string worst_name_;
};

}  // namespace dermatome::golden
