// Rows of comma-separated values (RFC 4180), as far as tables with one line a row need it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace dermatome::data {

// The fields of one line without its line end. Quoted fields may hold commas and doubled quotes; spaces around plain
// fields are dropped.
std::vector<std::string> split_csv_line(std::string_view line);

// The lines of a file without their ends; a byte order mark and blank lines at the end are left out. Throws Error as
// read_file does.
std::vector<std::string> read_lines(const std::filesystem::path& path);

// `text` in quotes where it holds a comma, a quote or spaces at its ends, else as it is.
std::string csv_field(std::string_view text);

}  // namespace dermatome::data
