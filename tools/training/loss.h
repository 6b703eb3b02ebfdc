// LossSettings: what a stage minimises, as its recipe says it: "bce + 0.5 jaccard".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/builder.h"

namespace dermatome::training {

// A weight of each term; 0: without it. Terms of regions (Jaccard, Dice) are those of each photograph, or of the batch.
struct LossSettings {
  double bce = 1;          // cross-entropy
  double focal = 0;        // cross-entropy times balance * miss^gamma
  double jaccard = 0;      // 1 - J, with soft counts
  double log_jaccard = 0;  // -log J
  double dice = 0;         // 1 - D
  bool over_batch = false;
  double epsilon = 1;         // pixels, added above and below the fractions of J and D
  double focal_gamma = 2;     // how strongly the focal loss passes over pixels that are right
  double focal_alpha = 0.25;  // its weight of a lesion's pixel; 1 - alpha of another

  friend bool operator==(const LossSettings&, const LossSettings&) = default;
};

// "bce", "focal", ...: the names of terms.
std::vector<std::string> loss_terms();

// Sets the weights; a term that the text does not name gets none. Throws Error with a reason that reads on behind
// "loss = ...: ", naming the nearest term for a misspelt one.
void set_loss_terms(LossSettings& loss, std::string_view text);

// The terms in a fixed order, as set_loss_terms reads them: "bce + 0.5 jaccard".
std::string loss_text(const LossSettings& loss);

// Outputs of the operation that computes it: loss [1], counts [n, 4], and its gradient.
std::vector<Value> add_loss(Builder& builder, const LossSettings& loss, Value logits, Value target, Value divisor);

}  // namespace dermatome::training
