// The keys of a recipe.
#include "tools/training/recipe_schema.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace dermatome::training {

std::string place(const std::string& file, const toml::source_region& source) {
  if (file.empty()) return "";  // an assignment on the command line
  return source.begin.line > 0 ? fmt::format("{}:{}: ", file, source.begin.line) : file + ": ";
}

std::string ValueKind::text() const {
  if (!choices.empty()) return fmt::format("one of {}", fmt::join(choices, ", "));
  return range.empty() ? type : fmt::format("{} from {}", type, range);
}

void Item::fail(const std::string& but) const {
  fail_usage("{}{} must be {}{}", place(file, node.source()), key, kind.text(), but);
}

double Item::number(double low, double high) const {
  const auto value = node.value<double>();
  if (!value || !node.is_number() || !(*value >= low && *value <= high)) fail();
  return *value;
}

std::int64_t Item::whole(std::int64_t low, std::int64_t high) const {
  const auto* value = node.as_integer();  // value<>() would convert a real, however large
  if (value == nullptr || value->get() < low || value->get() > high) fail();
  return value->get();
}

std::string Item::word() const {
  const auto value = node.value<std::string>();
  if (!value) fail();
  if (std::find(kind.choices.begin(), kind.choices.end(), *value) == kind.choices.end()) {
    fail(fmt::format(", not '{}'{}", *value,
                     nearest(*value, kind.choices).empty() ? "" : did_you_mean(*value, kind.choices)));
  }
  return *value;
}

bool Item::truth() const {
  const auto value = node.value<bool>();
  if (!value || !node.is_boolean()) fail();
  return *value;
}

std::vector<std::string> Item::words() const {
  const auto* array = node.as_array();
  if (array == nullptr) fail();
  std::vector<std::string> words;
  for (const auto& element : *array) {
    const auto word = element.value<std::string>();
    if (!word) fail();
    words.push_back(*word);
  }
  return words;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {  // TOML has no other way for these
      result += fmt::format("\\u{:04X}", byte);
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

namespace {

template <typename Real>
std::string real_text(Real value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string list_text(const std::vector<std::string>& list) {
  std::vector<std::string> parts;
  for (const auto& entry : list) parts.push_back(quoted(entry));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

// A key that is one number of its target. `range` where the bounds are not to be printed as they are ("0 to below 1").
template <typename Target, typename Whole>
Key<Target> whole_key(std::string name, Whole Target::*field, std::int64_t low, std::int64_t high,
                      std::string explanation) {
  return {std::move(name),
          {.type = "a whole number", .range = fmt::format("{} to {}", low, high), .choices = {}},
          std::move(explanation),
          [=](Target& t, const Item& item) { t.*field = static_cast<Whole>(item.whole(low, high)); },
          [=](const Target& t) { return std::to_string(t.*field); }};
}

template <typename Target, typename Real>
Key<Target> real_key(std::string name, Real Target::*field, double low, double high, std::string explanation,
                     std::string range = "") {
  if (range.empty()) range = fmt::format("{} to {}", low, high);
  return {std::move(name),
          {.type = "a number", .range = std::move(range), .choices = {}},
          std::move(explanation),
          [=](Target& t, const Item& item) { t.*field = static_cast<Real>(item.number(low, high)); },
          [=](const Target& t) { return real_text(t.*field); }};
}

template <typename Target>
Key<Target> truth_key(std::string name, bool Target::*field, std::string explanation) {
  return {std::move(name),
          {.type = "true or false", .range = "", .choices = {}},
          std::move(explanation),
          [=](Target& t, const Item& item) { t.*field = item.truth(); },
          [=](const Target& t) { return t.*field ? "true" : "false"; }};
}

constexpr double kBelowOne = 0.999999;  // the largest beta1

struct Bounds {
  std::string text;
  double low, high;
};

// A key that is one number of a stage's schedule, or of the sweep that finds its rate.
template <typename Part>
Key<StageSettings> number_key(std::string name, Part StageSettings::*part, double Part::*field, const Bounds& bounds,
                              std::string explanation) {
  const double low = bounds.low;
  const double high = bounds.high;
  return {std::move(name),
          {.type = "a number", .range = bounds.text, .choices = {}},
          std::move(explanation),
          [=](StageSettings& s, const Item& item) { (s.*part).*field = item.number(low, high); },
          [=](const StageSettings& s) { return real_text((s.*part).*field); }};
}

constexpr double kLargestRate = 100;

// Groups have dots in their names, which TOML reads as tables in tables: lr.encoder.early = 1e-5.
void set_by_group(const toml::table& table, const std::string& prefix, const Item& item,
                  const std::function<void(const std::string& group, double value)>& set) {
  for (const auto& [key, node] : table) {
    const std::string group = prefix + std::string(key.str());
    if (const auto* below = node.as_table()) {
      set_by_group(*below, group + ".", item, set);
      continue;
    }
    const ValueKind kind{.type = "a rate", .range = item.kind.range, .choices = {}};
    const Item rate{node, fmt::format("{}.{}", item.key, group), item.file, kind};
    set(group, rate.number(0, kLargestRate));
  }
}

void set_rates(StageSettings& stage, const Item& item) {
  if (stage.find_lr) stage.lr = StageSettings{}.lr;
  stage.find_lr = false;
  if (const auto* table = item.node.as_table()) {
    set_by_group(*table, "", item, [&](const std::string& group, double value) {
      (group == kOtherGroups ? stage.lr : stage.group_lr[group]) = value;
    });
    return;
  }
  stage.group_lr.clear();
  if (item.node.value<std::string>() == "find") {
    stage.find_lr = true;
    stage.lr = 1;
    return;
  }
  stage.lr = item.number(0, kLargestRate);
}

void set_scales(StageSettings& stage, const Item& item) {
  const auto* table = item.node.as_table();
  if (table == nullptr) item.fail();
  set_by_group(*table, "", item, [&](const std::string& group, double value) { stage.lr_scale[group] = value; });
}

std::string by_group_text(const std::map<std::string, double>& values) {
  std::vector<std::string> parts;
  for (const auto& [group, value] : values) parts.push_back(fmt::format("{} = {}", quoted(group), real_text(value)));
  return parts.empty() ? "{ }" : fmt::format("{{ {} }}", fmt::join(parts, ", "));
}

void set_augmentation(StageSettings& stage, const Item& item) {
  if (const auto word = item.node.value<std::string>()) {
    if (*word != "full" && *word != "none") item.fail();
    stage.augmentation = *word == "full" ? data::AugmentationSettings{} : data::AugmentationSettings::none();
    return;
  }
  const auto* table = item.node.as_table();
  if (table == nullptr) item.fail();
  for (const auto& [name, node] : *table) {
    set_key(augmentation_keys(), stage.augmentation, item.key + ".", std::string(name.str()), node, item.file,
            node.source());
  }
}

std::string augmentation_text(const StageSettings& stage) {
  std::vector<std::string> parts;
  for (const auto& key : augmentation_keys()) parts.push_back(key.name + " = " + key.print(stage.augmentation));
  return fmt::format("{{ {} }}", fmt::join(parts, ", "));
}

void set_loss(StageSettings& stage, const Item& item) {
  const auto text = item.node.value<std::string>();
  if (!text) item.fail();
  try {
    set_loss_terms(stage.loss, *text);
  } catch (const Error& error) {
    fail_usage("{}{} = {}: {}", place(item.file, item.node.source()), item.key, quoted(*text), error.what());
  }
}

// A key that is one number of a stage's loss.
Key<StageSettings> loss_number_key(std::string name, double LossSettings::*field, double low, double high,
                                   std::string explanation) {
  return {std::move(name),
          {.type = "a number", .range = fmt::format("{} to {}", low, high), .choices = {}},
          std::move(explanation),
          [=](StageSettings& s, const Item& item) { s.loss.*field = item.number(low, high); },
          [=](const StageSettings& s) { return real_text(s.loss.*field); }};
}

// A key that is one of some words.
template <typename Choice>
Key<Recipe> choice_key(std::string name, Choice Recipe::*field, std::vector<std::string> choices,
                       std::string explanation) {
  const auto index_of = [choices](const std::string& word) {
    return std::find(choices.begin(), choices.end(), word) - choices.begin();
  };
  return {std::move(name),
          {.type = "a word", .range = "", .choices = choices},
          std::move(explanation),
          [=](Recipe& r, const Item& item) { r.*field = static_cast<Choice>(index_of(item.word())); },
          [=](const Recipe& r) { return quoted(choices[static_cast<std::size_t>(r.*field)]); }};
}

// 200 is steps, "10 minutes" a time.
void set_checkpoint_every(Recipe& recipe, const Item& item) {
  if (item.node.is_integer()) {
    const auto steps = *item.node.value<std::int64_t>();
    if (steps < 0) item.fail();
    recipe.checkpoint_every = {.steps = steps, .minutes = 0};
    return;
  }
  const auto text = item.node.value<std::string>().value_or("");
  double minutes = 0;
  const auto number = std::from_chars(text.data(), text.data() + text.size(), minutes);
  const std::string unit(static_cast<const char*>(number.ptr), text.data() + text.size());
  const bool known = unit == " minutes" || unit == " minute" || unit == " min";
  if (number.ec != std::errc() || !known || !(minutes > 0 && minutes < 1e6)) item.fail();
  recipe.checkpoint_every = {.steps = 0, .minutes = minutes};
}

std::string checkpoint_every_text(const Recipe& recipe) {
  const auto& every = recipe.checkpoint_every;
  return every.minutes > 0 ? quoted(fmt::format("{} minutes", every.minutes)) : std::to_string(every.steps);
}

}  // namespace

std::string rates_text(const StageSettings& stage) {
  if (stage.find_lr) return quoted("find");
  if (stage.group_lr.empty()) return real_text(stage.lr);
  auto rates = stage.group_lr;
  rates[kOtherGroups] = stage.lr;
  return by_group_text(rates);
}

const std::vector<Key<Recipe>>& recipe_keys() {
  static const std::vector<Key<Recipe>> keys{
      {"model",
       {.type = "the name of a model or the path of a .graph file", .range = "", .choices = {}},
       "unet34, unet34_large_head, or the path of a .graph file",
       [](Recipe& r, const Item& item) {
         const auto word = item.node.value<std::string>();
         if (!word) item.fail();
         r.model = *word;
       },
       [](const Recipe& r) { return quoted(r.model); }},
      whole_key("seed", &Recipe::seed, 0, INT64_MAX, "of initial weights, order, augmentation and split"),
      {"checkpoint_every",
       {.type = "a whole number of steps (0: only at the ends of epochs) or a time such as \"10 minutes\"",
        .range = "",
        .choices = {}},
       "when the state is saved besides the ends of epochs: steps (0: never), or a time such as \"10 minutes\"",
       set_checkpoint_every,
       checkpoint_every_text},
      choice_key("resize", &Recipe::resize, data::resize_names(),
                 "squash: each side to the size; pad: the longer side, what is missing repeats the last row or column"),
      choice_key("colour_constancy", &Recipe::colour_constancy, data::colour_constancy_names(),
                 "how the colour of the light is estimated and taken out; shades-of-gray with the sixth power"),
      choice_key("mask_resize", &Recipe::mask_resize, data::mask_resize_names(),
                 "area: lesion where more than half of a pixel is; nearest: one pixel decides, as in fastai 0.7"),
      choice_key("best_by", &Recipe::best_by, best_by_names(),
                 "the validation score whose highest mean makes an epoch the best one; of equal epochs the earliest"),
  };
  return keys;
}

const std::vector<Key<StageSettings>>& stage_keys() {
  using S = StageSettings;
  static const std::vector<Key<S>> keys{
      whole_key("size", &S::size, 1, 8192,
                "photographs are brought to size x size pixels; a multiple of 32 for U-Net34"),
      whole_key("batch", &S::batch, 1, 65536, "images a step"),
      whole_key("accumulate", &S::accumulate, 1, 65536, "batches whose gradients are added before the weights move"),
      whole_key("epochs", &S::epochs, 1, 1000000, "how often every photograph is seen"),
      {"frozen",
       {.type = "a list of words", .range = "", .choices = {}},
       "parameter groups that do not learn, of encoder.early, encoder.late, decoder",
       [](S& s, const Item& item) { s.frozen = item.words(); },
       [](const S& s) { return list_text(s.frozen); }},
      {"batch_norm",
       {.type = "a word", .range = "", .choices = {"live", "frozen"}},
       "live: batch statistics, running ones move; frozen: running statistics everywhere, gamma and beta learn",
       [](S& s, const Item& item) { s.batch_norm = item.word(); },
       [](const S& s) { return quoted(s.batch_norm); }},
      {"schedule",
       {.type = "a word", .range = "", .choices = schedule_names()},
       "how the rate moves: use_clr rises, then falls; stlr: use_clr with div 32, cut_div 10; use_clr_beta moves beta1 "
       "too; one_cycle: use_clr_beta with div 10, pct 10; cosine falls; `dermatome schedule` shows them",
       [](S& s, const Item& item) { s.schedule.name = item.word(); },
       [](const S& s) { return quoted(s.schedule.name); }},
      number_key("div", &StageSettings::schedule, &ScheduleSettings::div, {"1 to 1e9", 1, 1e9},
                 "use_clr, use_clr_beta: largest rate / first rate"),
      {"cut_div",
       {.type = "a whole number", .range = "1 to 1000000", .choices = {}},
       "use_clr: the rate rises for 1/cut_div of the steps",
       [](S& s, const Item& item) { s.schedule.cut_div = item.whole(1, 1000000); },
       [](const S& s) { return std::to_string(s.schedule.cut_div); }},
      number_key("pct", &StageSettings::schedule, &ScheduleSettings::pct, {"0 to below 100", 0, 99.999999},
                 "use_clr_beta: percent of the steps that come behind the cycle, down to the largest rate / (100 div)"),
      number_key("momentum_high", &StageSettings::schedule, &ScheduleSettings::momentum_high,
                 {"0 to below 1", 0, kBelowOne}, "use_clr_beta: Adam's beta1 where the rate is small"),
      number_key("momentum_low", &StageSettings::schedule, &ScheduleSettings::momentum_low,
                 {"0 to below 1", 0, kBelowOne}, "use_clr_beta: Adam's beta1 where the rate is largest"),
      {"lr",
       {.type = "\"find\", a rate, or a table of rates by group,",
        .range = fmt::format("0 to {}", kLargestRate),
        .choices = {}},
       "largest learning rate, or one a group: { decoder = 1e-3, \"*\" = 1e-5 }, * for all others; \"find\": what a "
       "sweep of rates suggests at the start of the stage",
       set_rates,
       rates_text},
      {"lr_scale",
       {.type = "a table of factors by group,", .range = fmt::format("0 to {}", kLargestRate), .choices = {}},
       "rates are multiplied by these: { \"encoder.early\" = 0.01, \"encoder.late\" = 0.1 }",
       set_scales,
       [](const S& s) { return by_group_text(s.lr_scale); }},
      {"find_sweep",
       {.type = "a word", .range = "", .choices = {"exponential", "linear"}},
       "lr=find: how the rates rise, by equal factors from find_start or by equal amounts from 0",
       [](S& s, const Item& item) { s.find.linear = item.word() == "linear"; },
       [](const S& s) { return quoted(s.find.linear ? "linear" : "exponential"); }},
      {"find_loss",
       {.type = "a word", .range = "", .choices = {"training", "validation"}},
       "lr=find: training: the loss of each step itself; validation: of one validation batch behind it",
       [](S& s, const Item& item) { s.find.validation_loss = item.word() == "validation"; },
       [](const S& s) { return quoted(s.find.validation_loss ? "validation" : "training"); }},
      {"find_steps",
       {.type = "a whole number", .range = "0 to 1000000", .choices = {}},
       "lr=find: steps of the sweep; 0: those of an epoch, at least 100",
       [](S& s, const Item& item) { s.find.steps = item.whole(0, 1000000); },
       [](const S& s) { return std::to_string(s.find.steps); }},
      number_key("find_start", &StageSettings::find, &RateSweep::start, {"1e-12 to 100", 1e-12, 100},
                 "lr=find: first rate of an exponential sweep"),
      number_key("find_end", &StageSettings::find, &RateSweep::end, {"0 to 1000", 0, 1000},
                 "lr=find: the rate that the sweep would reach; 0: 10, or 0.1 for a linear one"),
      real_key("beta1", &S::beta1, 0, kBelowOne,
               "Adam: decay of the mean of the gradients, where the schedule does not move it", "0 to below 1"),
      real_key("beta2", &S::beta2, 0, 0.999999999, "Adam: decay of the mean of their squares", "0 to below 1"),
      real_key("eps", &S::eps, 0, 1, "Adam: added to the root of the squares' mean"),
      real_key("weight_decay", &S::weight_decay, 0, 1, "L2, added to the gradient"),
      {"loss",
       {.type = fmt::format("a sum of {} with weights, such as \"bce + 0.5 jaccard\"", fmt::join(loss_terms(), ", ")),
        .range = "",
        .choices = {}},
       "what is minimised: jaccard is 1 - J and log_jaccard -log J, of soft masks; dice 1 - D; focal after Lin et al. "
       "2017",
       set_loss,
       [](const S& s) { return quoted(loss_text(s.loss)); }},
      {"loss_over",
       {.type = "a word", .range = "", .choices = {"image", "batch"}},
       "jaccard, log_jaccard, dice: of each photograph and then the mean, or pooled over the photographs of a batch",
       [](S& s, const Item& item) { s.loss.over_batch = item.word() == "batch"; },
       [](const S& s) { return quoted(s.loss.over_batch ? "batch" : "image"); }},
      loss_number_key(
          "loss_epsilon", &LossSettings::epsilon, 1e-6, 1e6,
          "jaccard, log_jaccard, dice: pixels added above and below the fraction, for photographs without lesion"),
      loss_number_key("focal_gamma", &LossSettings::focal_gamma, 0, 100,
                      "focal: how little pixels count that are right already"),
      loss_number_key("focal_alpha", &LossSettings::focal_alpha, 0, 1,
                      "focal: weight of a lesion's pixels; 1 - this of all others"),
      {"optimizer_state",
       {.type = "a word", .range = "", .choices = {"fresh", "kept"}},
       "kept: Adam goes on with its moments of the stage before; groups that did not learn there start fresh",
       [](S& s, const Item& item) { s.optimizer_state = item.word(); },
       [](const S& s) { return quoted(s.optimizer_state); }},
      real_key("clip_norm", &S::clip_norm, 0, 1e9,
               "gradients are scaled down to this norm, taken over all of them; 0: never", "0 to 1e9"),
      real_key("ema", &S::ema, 0, 0.9999999,
               "decay of a moving average of the weights, which is validated, saved as best and handed to the next "
               "stage; 0: none",
               "0 to below 1"),
      {"augmentation",
       {.type = "\"full\", \"none\" or a table of settings", .range = "", .choices = {}},
       "\"full\", \"none\", or what differs from full",
       set_augmentation,
       augmentation_text},
  };
  return keys;
}

const std::vector<Key<data::AugmentationSettings>>& augmentation_keys() {
  using A = data::AugmentationSettings;
  static const std::vector<Key<A>> keys{
      truth_key("dihedral", &A::dihedral, "turns by quarters"),
      real_key("flip_probability", &A::flip_probability, 0, 1, "of exchanging left and right"),
      real_key("rotate_degrees", &A::rotate_degrees, 0, 180, "rotation U(-this, this)"),
      real_key("rotate_probability", &A::rotate_probability, 0, 1, "of rotating at all"),
      real_key("zoom", &A::zoom, 1, 10, "magnification U(1, this)"),
      real_key("zoom_probability", &A::zoom_probability, 0, 1, "of magnifying at all"),
      real_key("lighting", &A::lighting, 0, 0.99, "brightness and contrast U(-this, this)"),
      truth_key("reflect_mask", &A::reflect_mask, "false: beyond the border a mask is background, as in fastai 0.7"),
      truth_key("rotate_about_whole_pixel", &A::rotate_about_whole_pixel,
                "true: about pixel (S/2, S/2), as in fastai 0.7"),
      truth_key(
          "zoom_crop", &A::zoom_crop,
          "false: what was magnified is squashed back, so that zoom does nothing, as in fastai 0.7 without cropping"),
  };
  return keys;
}

}  // namespace dermatome::training
