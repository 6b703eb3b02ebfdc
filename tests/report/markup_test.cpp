// Text and bytes on their way into HTML.
#include "tools/report/markup.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dermatome::report {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

TEST(ReportEscape, ReplacesWhatHtmlTakesForMarkup) {
  EXPECT_EQ(escape("a<b>&\"c\"'d'"), "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39;");
  EXPECT_EQ(escape("&amp;"), "&amp;amp;");
}

TEST(ReportEscape, KeepsTextOfEveryLanguageAndLineBreaks) {
  const std::string text = "naïve · Größe 3 × 2\n\tлезия 病変 🙂";
  EXPECT_EQ(escape(text), text);
}

TEST(ReportEscape, ReplacesControlCharacters) {
  EXPECT_EQ(escape(std::string("a\0b", 3)), "a\uFFFDb");
  EXPECT_EQ(escape("\x01\x1f\x7f\r"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(escape("\xC2\x85"), "\uFFFD") << "U+0085, next line";
  EXPECT_EQ(escape("\xC2\xA0"), "\xC2\xA0") << "U+00A0 is a space";
}

TEST(ReportEscape, ReplacesBytesThatAreNoUtf8) {
  EXPECT_EQ(escape("a\xFF"
                   "b"),
            "a\uFFFDb");
  EXPECT_EQ(escape("\x80"), "\uFFFD") << "a continuation alone";
  EXPECT_EQ(escape("\xE2\x82"), "\uFFFD\uFFFD") << "cut off";
  EXPECT_EQ(escape("\xC0\xBC"), "\uFFFD\uFFFD") << "an overlong <";
  EXPECT_EQ(escape("\xE0\x80\xBC"), "\uFFFD\uFFFD\uFFFD") << "an overlong <";
  EXPECT_EQ(escape("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(escape("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond U+10FFFF";
  EXPECT_EQ(escape("\xE2<b"), "\uFFFD&lt;b") << "a broken character must not swallow markup";
}

// The vectors of RFC 4648, section 10.
TEST(ReportBase64, AgreesWithTheStandard) {
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) EXPECT_EQ(base64(bytes_of(plain)), coded);
  EXPECT_EQ(base64(std::vector<std::uint8_t>{0xFB, 0xEF, 0xFF}), "++//");
}

TEST(ReportDataUri, NamesItsType) {
  EXPECT_EQ(data_uri("image/jpeg", bytes_of("foo")), "data:image/jpeg;base64,Zm9v");
}

}  // namespace
}  // namespace dermatome::report
