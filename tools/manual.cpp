// dermatome manual: the manual page, written from the application's own description when the package is built.
#include <fmt/format.h>

#include "tools/command.h"
#include "tools/help.h"
#include "tools/option_value.h"
#include "tools/version.h"

namespace dermatome {
namespace {

// Text for groff: a plain hyphen would become a typographic one, and a line may not begin with a control character.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (result.empty() || result.back() == '\n')) result += "\\&";
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  return result;
}

std::string options_of(const CLI::App& command) {
  std::string text;
  for (const auto* option : command.get_options([](const CLI::Option* o) { return !is_hidden(*o); })) {
    if (option == command.get_help_ptr()) continue;
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", escaped(names_of(*option)), escaped(explanation_of(*option)));
  }
  return text;
}

std::string command_text(const CLI::App& command) {
  std::string text;
  for (const auto* sub : commands_of(command)) {
    if (!commands_of(*sub).empty()) {
      text += command_text(*sub);
      continue;
    }
    text += fmt::format(".SS {}\n{}.\n.PP\n\\fB{}\\fR\n", escaped(path_of(*sub)), escaped(sub->get_description()),
                        escaped(usage_of(*sub)));
    text += options_of(*sub);
    if (!sub->get_footer().empty()) text += fmt::format(".PP\n.nf\n{}\n.fi\n", escaped(sub->get_footer()));
  }
  return text;
}

std::string manual_of(const CLI::App& app) {
  return fmt::format(
      ".TH DERMATOME 1 \"\" \"dermatome {}\" \"User Commands\"\n"
      ".SH NAME\ndermatome \\- trains and runs a network that outlines skin lesions on photographs\n"
      ".SH SYNOPSIS\n\\fBdermatome\\fR \\fICOMMAND\\fR [\\fIoptions\\fR]\n"
      ".SH DESCRIPTION\n{}\n"
      ".SH COMMANDS\n{}"
      ".SH EXIT STATUS\n.TP\n0\neverything went well\n.TP\n1\nsomething failed while it ran\n"
      ".TP\n2\nthe command line or a recipe is wrong\n.TP\n130, 143\nended by SIGINT or SIGTERM\n",
      kVersion, escaped(app.get_description()), command_text(app));
}

}  // namespace

void add_manual(CLI::App& app) {
  auto* command = app.add_subcommand("manual", "Print the manual page, for man(1)");
  command->group("");  // packages call it
  command->callback([&app] { write_text("-", manual_of(app)); });
}

}  // namespace dermatome
