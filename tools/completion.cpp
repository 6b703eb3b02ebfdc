// dermatome completion: the shell's script, and the answers that it asks for.
#include "tools/completion.h"

#include <algorithm>
#include <set>

#include "engine/compile/kernel.h"
#include "engine/compile/pass.h"
#include "engine/core/device.h"
#include "engine/graph/op.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/option_value.h"
#include "tools/training/recipe.h"

namespace dermatome {
namespace {

// Collects answers for one beginning of a word.
class Answers {
 public:
  explicit Answers(std::string beginning) : beginning_(std::move(beginning)) {}

  void word(const std::string& candidate) {
    if (candidate.starts_with(beginning_)) lines_.push_back("w" + candidate);
  }
  void words(const std::vector<std::string>& candidates) {
    for (const auto& candidate : candidates) word(candidate);
  }
  void other(const std::string& line) { lines_.push_back(line); }
  const std::string& beginning() const { return beginning_; }

  std::vector<std::string> lines() const {
    std::vector<std::string> result = lines_;
    const auto is_word = [](const std::string& line) { return line.starts_with("w"); };
    const bool assignments = std::any_of(lines_.begin(), lines_.end(), is_word) &&
                             std::all_of(lines_.begin(), lines_.end(),
                                         [&](const std::string& l) { return !is_word(l) || l.ends_with("="); });
    if (assignments) result.emplace_back("n");
    return result;
  }

 private:
  std::string beginning_;
  std::vector<std::string> lines_;
};

std::vector<std::string> device_names() {
  std::vector<std::string> names{"auto"};
  for (const Device device : available_devices()) names.push_back(to_string(device));
  return names;
}

std::vector<std::string> implementation_names() {
  std::set<std::string> names;
  for (const KernelEntry& entry : kernel_entries()) names.insert(entry.implementation);
  return {names.begin(), names.end()};
}

std::vector<std::string> operation_names() {
  std::vector<std::string> names;
  for (const Op* op : all_ops()) names.push_back(op->name());
  return names;
}

// "augmentation.zoom"; keys of the run and of a stage stand alone.
std::string full_name(const training::SettingDescription& setting) {
  return setting.table == "augmentation" ? "augmentation." + setting.name : setting.name;
}

// A recipe's keys, or behind "key=" the words that it takes.
void add_settings(Answers& answers) {
  const auto equals = answers.beginning().find('=');
  for (const auto& setting : training::describe_settings()) {
    const std::string start = full_name(setting) + "=";
    if (equals == std::string::npos) {
      answers.word(start);
    } else if (answers.beginning().starts_with(start)) {
      for (const auto& choice : setting.choices) answers.word(start + choice);
    }
  }
  if (equals == std::string::npos) {
    answers.other("x.toml");
  } else if (answers.beginning().starts_with("model=")) {
    for (const auto& name : builtin_model_names()) answers.word("model=" + name);
    answers.other("x.graph");
  }
}

// `prefix` stands in front of each candidate: "--mode=" where the value is part of the word.
void add_values(Answers& answers, const CLI::Option& option, const std::string& prefix) {
  const OptionValue value = value_of(option);
  const auto add = [&](const std::vector<std::string>& words) {
    for (const auto& word : words) answers.word(prefix + word);
  };
  if (!value.choices.empty()) {
    add(value.choices);
  } else if (value.kind == value_kind::kFolder) {
    answers.other("d");
  } else if (value.kind == value_kind::kModel) {
    add(builtin_model_names());
    answers.other("x.graph");
  } else if (value.kind == value_kind::kSettings) {
    add_settings(answers);
  } else if (value.kind == value_kind::kDevice) {
    add(device_names());
  } else if (value.kind == value_kind::kPass) {
    add(rewrite_names());
  } else if (value.kind == value_kind::kOperation) {
    add(operation_names());
  } else if (value.kind == value_kind::kImplementation) {
    add(implementation_names());
  } else if (value.kind == value_kind::kPart) {
    add({"train", "validation", "test"});
  } else if (value.kind == value_kind::kThreshold) {
    add({"best"});
  } else if (value.kind == value_kind::kType) {
    add({"f32", "bf16"});
  } else if (value.kind != "INT" && value.kind != "UINT" && value.kind != "FLOAT") {
    answers.other("f");
  }
}

const CLI::App* command_named(const CLI::App& command, const std::string& name) {
  for (const auto* sub : commands_of(command)) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

const CLI::Option* option_named(const CLI::App& command, const std::string& word) {
  for (const auto* option : command.get_options()) {
    if (word.starts_with("-") && option->check_name(word)) return option;
  }
  return nullptr;
}

void add_options(Answers& answers, const CLI::App& command, const std::vector<const CLI::Option*>& given) {
  for (const auto* option : command.get_options([](const CLI::Option* o) { return !is_hidden(*o); })) {
    const bool repeatable = option->get_items_expected_max() > 1;
    if (!repeatable && std::find(given.begin(), given.end(), option) != given.end()) continue;
    for (const auto& name : option->get_lnames()) answers.word("--" + name);
    if (option->get_lnames().empty() || answers.beginning() == "-") {
      for (const auto& name : option->get_snames()) answers.word("-" + name);
    }
  }
}

// The argument without a dash that comes next: the last one where it may be repeated.
void add_positional(Answers& answers, const CLI::App& command, std::size_t position) {
  const auto positionals =
      command.get_options([](const CLI::Option* o) { return o->get_positional() && !is_hidden(*o); });
  if (positionals.empty()) return;
  const CLI::Option& last = *positionals.back();
  if (position < positionals.size()) {
    add_values(answers, *positionals[position], "");
  } else if (last.get_items_expected_max() > 1) {
    add_values(answers, last, "");
  }
}

}  // namespace

std::vector<std::string> completions(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  const CLI::Option* waiting = nullptr;  // an option whose value comes next
  std::vector<const CLI::Option*> given;
  std::size_t positionals = 0;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (waiting != nullptr) {
      waiting = nullptr;
      continue;
    }
    if (word.starts_with("-")) {
      const CLI::Option* option = option_named(*command, word.substr(0, word.find('=')));
      if (option != nullptr) given.push_back(option);
      const bool joined = word.find('=') != std::string::npos;
      if (option != nullptr && takes_value(*option) && !joined) waiting = option;
      continue;
    }
    if (const CLI::App* sub = positionals == 0 ? command_named(*command, word) : nullptr) {
      command = sub;
      given.clear();
    } else {
      ++positionals;
    }
  }
  Answers answers(words.empty() ? "" : words.back());
  const std::string& last = answers.beginning();
  if (waiting != nullptr) {
    add_values(answers, *waiting, "");
  } else if (const auto equals = last.find('='); last.starts_with("--") && equals != std::string::npos) {
    const CLI::Option* option = option_named(*command, last.substr(0, equals));
    if (option != nullptr && takes_value(*option)) add_values(answers, *option, last.substr(0, equals + 1));
  } else if (last.starts_with("-")) {
    add_options(answers, *command, given);
  } else if (const auto subs = commands_of(*command); !subs.empty()) {
    for (const auto* sub : subs) answers.word(sub->get_name());
  } else {
    add_positional(answers, *command, positionals);
  }
  return answers.lines();
}

// bash cuts words at =, which settings hold: what no blank separates is put together again, and what stands in front of
// the last = is taken off the answers. Without an answer bash completes file names by itself, with its own quoting.
std::string bash_completion() {
  return R"SCRIPT(# bash completion of dermatome: made by `dermatome completion bash`, which asks the program itself what fits.
_dermatome() {
  local rest=${COMP_LINE:0:COMP_POINT} words=() candidates=() answers=() endings=() i word line
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i == 0)) || [[ $rest == [[:blank:]]* ]]; then
      rest=${rest#"${rest%%[![:blank:]]*}"}
      ((i == COMP_CWORD)) && word=$rest
      words+=("$word")
    else
      ((i == COMP_CWORD)) && word=$rest
      words[-1]+=$word
    fi
    rest=${rest#"$word"}
  done
  local current=${words[-1]}
  mapfile -t answers < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
  compopt +o default +o bashdefault
  for line in "${answers[@]}"; do
    case $line in
      w*) candidates+=("${line:1}") ;;
      x*) endings+=("${line:1}") ;;
      f) compopt -o default -o bashdefault ;;
      d) compopt -o dirnames ;;
      n) compopt -o nospace ;;
    esac
  done
  local prefix=
  [[ $COMP_WORDBREAKS == *=* ]] && prefix=${current%"${current##*=}"}
  COMPREPLY=("${candidates[@]#"$prefix"}")
  # bash quotes names of files by itself where there is nothing else; it would quote the = of settings too.
  ((${#candidates[@]} || !${#endings[@]})) || compopt -o filenames -o plusdirs
  for line in "${endings[@]}"; do
    while IFS= read -r word; do
      ((${#candidates[@]})) && printf -v word %q "$word"
      COMPREPLY+=("$word")
    done < <(compgen -f -X "!*$line" -- "${current#"$prefix"}")
  done
}
complete -o default -o bashdefault -F _dermatome dermatome
)SCRIPT";
}

void add_completion(CLI::App& app) {
  auto* command =
      app.add_subcommand("completion", "Print the script that completes commands, options and settings in a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "The shell")->required()->check(CLI::IsMember({"bash"}));
  command->footer("Example\n  dermatome completion bash >> ~/.bashrc    # from the next shell on");
  command->callback([shell] { write_text("-", bash_completion()); });  // bash, the only one that passed the check
}

}  // namespace dermatome
