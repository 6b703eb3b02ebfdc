// Reading and printing sums of losses; the node that computes one.
#include "tools/training/loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome::training {
namespace {

constexpr double kLargestWeight = 1e6;

struct Term {
  const char* name;
  double LossSettings::*weight;
};
constexpr Term kTerms[] = {{"bce", &LossSettings::bce},
                           {"focal", &LossSettings::focal},
                           {"jaccard", &LossSettings::jaccard},
                           {"log_jaccard", &LossSettings::log_jaccard},
                           {"dice", &LossSettings::dice}};

const Term* find_term(std::string_view name) {
  for (const Term& term : kTerms) {
    if (name == term.name) return &term;
  }
  return nullptr;
}

// Takes words off the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) { skip(); }

  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    skip();
    return true;
  }
  std::optional<double> number() {
    double value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error == std::errc::invalid_argument) return {};
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    skip();
    return error == std::errc() ? value : HUGE_VAL;
  }
  // Up to a blank or a sign.
  std::string word() {
    const std::string result(rest_.substr(0, rest_.find_first_of(" \t+-*")));
    rest_.remove_prefix(result.size());
    skip();
    return result;
  }

 private:
  void skip() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }

  std::string_view rest_;
};

// "jaccard", "0.5 jaccard" or "0.5 * jaccard".
void read_term(Reader& reader, LossSettings& loss) {
  const std::optional<double> weight = reader.number();
  if (weight) reader.take('*');
  const std::string name = reader.word();
  if (name.empty()) fail("a term is missing: it is written like bce + 0.5 jaccard");
  const Term* term = find_term(name);
  if (term == nullptr) fail("there is no loss '{}'{}", name, did_you_mean(name, loss_terms()));
  if (weight && !(*weight > 0 && *weight <= kLargestWeight)) {
    fail("the weight of {} must be above 0 and at most {:g}", name, kLargestWeight);
  }
  if (loss.*term->weight > 0) fail("{} is named twice", name);
  loss.*term->weight = weight.value_or(1);
}

}  // namespace

std::vector<std::string> loss_terms() {
  std::vector<std::string> names;
  for (const Term& term : kTerms) names.emplace_back(term.name);
  return names;
}

void set_loss_terms(LossSettings& loss, std::string_view text) {
  LossSettings result = loss;
  for (const Term& term : kTerms) result.*term.weight = 0;
  Reader reader(text);
  do {
    read_term(reader, result);
    if (reader.take('-')) {
      fail("terms are added, never subtracted: each is smallest where the mask is right (log_jaccard is -log J)");
    }
  } while (reader.take('+'));
  if (!reader.at_end()) fail("a + is missing in front of '{}'", reader.word());
  loss = result;
}

std::string loss_text(const LossSettings& loss) {
  std::string text;
  for (const Term& term : kTerms) {
    const double weight = loss.*term.weight;
    if (weight == 0) continue;
    if (!text.empty()) text += " + ";
    if (weight != 1) text += fmt::format("{} ", weight);
    text += term.name;
  }
  return text;
}

// Cross-entropy alone has an operation of its own, which reads nothing twice.
std::vector<Value> add_loss(Builder& builder, const LossSettings& loss, Value logits, Value target, Value divisor) {
  if (loss_text(loss) == "bce") return builder.call_all("bce_with_logits", {logits, target, divisor});
  return builder.call_all("segmentation_loss", {logits, target, divisor},
                          {{"bce", loss.bce},
                           {"focal", loss.focal},
                           {"jaccard", loss.jaccard},
                           {"log_jaccard", loss.log_jaccard},
                           {"dice", loss.dice},
                           {"gamma", loss.focal_gamma},
                           {"alpha", loss.focal_alpha},
                           {"epsilon", loss.epsilon},
                           {"over", std::string(loss.over_batch ? "batch" : "image")}});
}

}  // namespace dermatome::training
