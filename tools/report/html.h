// The page about one run: what `dermatome report` writes.
#pragma once

#include <string>

#include "tools/report/report_data.h"

namespace dermatome::report {

// One self-contained page of HTML in UTF-8: nothing in it is fetched from anywhere, and it needs no script. The same
// data give the same bytes. Throws Error where a mask does not fit its photograph.
std::string render_html(const ReportData& data);

}  // namespace dermatome::report
