// The page about one run: what `dermatome report` writes.
#pragma once

#include <string>
#include <vector>

#include "tools/report/report_data.h"

namespace dermatome::report {

// A section of a page, its contents as HTML.
struct Section {
  std::string id, title, html;
};

// One self-contained page of HTML in UTF-8: nothing in it is fetched from anywhere, and it needs no script. The same
// data give the same bytes. Throws Error where a mask does not fit its photograph.
// `first`: sections in front of the page's own; where the data have no epochs, in place of those of the training.
std::string render_html(const ReportData& data, const std::vector<Section>& first = {});

// What pages share: the frame around a body. Title and version are plain text, links and body HTML.
struct Page {
  std::string title, version, links, body;
};
std::string page_html(const Page& page);

// A box of whole sentences; empty for none.
std::string notes_html(const std::vector<std::string>& notes);

}  // namespace dermatome::report
