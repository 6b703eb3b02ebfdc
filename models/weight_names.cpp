// Prefixes of wrappers, and fastai 0.7's names.
#include "models/weight_names.h"

#include <array>
#include <utility>

namespace dermatome {
namespace {

constexpr std::array<std::string_view, 3> kPrefixes{"module.", "encoder.", "backbone."};

// fastai 0.7's U-Net34 holds the ResNet's children in a Sequential called rn.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kParts{{{"rn.0.", "conv1."},
                                                                               {"rn.1.", "bn1."},
                                                                               {"rn.4.", "layer1."},
                                                                               {"rn.5.", "layer2."},
                                                                               {"rn.6.", "layer3."},
                                                                               {"rn.7.", "layer4."}}};

bool drop_prefix(std::string_view& key) {
  for (const auto prefix : kPrefixes) {
    if (!key.starts_with(prefix)) continue;
    key.remove_prefix(prefix.size());
    return true;
  }
  return false;
}

}  // namespace

std::string canonical_weight_name(std::string_view key) {
  while (drop_prefix(key)) {
  }
  for (const auto& [part, name] : kParts) {
    if (key.starts_with(part)) return std::string(name) + std::string(key.substr(part.size()));
  }
  return std::string(key);
}

}  // namespace dermatome
