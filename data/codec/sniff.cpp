// Signatures of what is read, and of what people try to read.
#include "data/codec/sniff.h"

#include <array>

#include "data/files.h"

namespace dermatome::data {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t at;
  std::string_view bytes;
  std::string_view kind;  // completes "is ..."
};

constexpr std::array kRefused{
    Signature{8, "WEBP"sv, "a WebP picture"},      Signature{0, "II*\0"sv, "a TIFF picture"},
    Signature{0, "MM\0*"sv, "a TIFF picture"},     Signature{0, "II+\0"sv, "a BigTIFF picture"},
    Signature{0, "MM\0+"sv, "a BigTIFF picture"},  Signature{0, "GIF8"sv, "a GIF picture"},
    Signature{4, "ftypavif"sv, "an AVIF picture"}, Signature{4, "ftypheic"sv, "a HEIC picture"},
    Signature{4, "ftypheix"sv, "a HEIC picture"},  Signature{4, "ftyphevc"sv, "a HEIC picture"},
    Signature{4, "ftypmif1"sv, "a HEIC picture"},  Signature{4, "ftypmsf1"sv, "a HEIC picture"},
    Signature{4, "jP  "sv, "a JPEG 2000 picture"}, Signature{128, "DICM"sv, "a DICOM file"},
    Signature{0, "BM"sv, "a BMP picture"},
};

}  // namespace

FileFormat sniff(std::span<const std::uint8_t> bytes, std::string_view name) {
  DERMATOME_CHECK(!bytes.empty(), "{} is empty", name);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xFF\xD8\xFF"sv)) return FileFormat::jpeg;
  if (text.starts_with("\x89PNG\r\n\x1A\n"sv)) return FileFormat::png;
  for (const Signature& signature : kRefused) {
    if (text.size() >= signature.at && text.substr(signature.at).starts_with(signature.bytes)) {
      fail("{} is {}, which is not read: save it as JPEG or PNG", name, signature.kind);
    }
  }
  if (text.starts_with("version https://git-lfs"sv)) {
    fail("{} is a Git LFS pointer, not a picture: fetch the file itself with 'git lfs pull'", name);
  }
  const std::string start = lower_case(text.substr(0, 64));
  if (start.find("<!doctype html") != std::string::npos || start.find("<html") != std::string::npos) {
    fail("{} is a web page, not a picture: download it again", name);
  }
  fail("{} is neither JPEG nor PNG", name);
}

}  // namespace dermatome::data
