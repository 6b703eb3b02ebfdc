// Signatures of what is read, and of what people try to read.
#include "data/codec/sniff.h"

#include <algorithm>
#include <array>

#include "data/codec/bmp.h"
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
    Signature{8, "WEBP"sv, "a WebP picture"},
    Signature{0, "GIF8"sv, "a GIF picture"},
    Signature{4, "ftypavif"sv, "an AVIF picture"},
    Signature{4, "ftypavis"sv, "an AVIF picture"},
    Signature{4, "ftypheic"sv, "a HEIC picture"},
    Signature{4, "ftypheix"sv, "a HEIC picture"},
    Signature{4, "ftypheim"sv, "a HEIC picture"},
    Signature{4, "ftypheis"sv, "a HEIC picture"},
    Signature{4, "ftyphevc"sv, "a HEIC picture"},
    Signature{4, "ftypmif1"sv, "a HEIC picture"},
    Signature{4, "ftypmsf1"sv, "a HEIC picture"},
    Signature{4, "jP  "sv, "a JPEG 2000 picture"},
    Signature{4, "JXL "sv, "a JPEG XL picture"},
    Signature{0, "\xFF\x0A"sv, "a JPEG XL picture"},
    Signature{4, "ftypcrx"sv, "a camera's raw picture"},
    Signature{8, "CR\2\0"sv, "a camera's raw picture"},    // Canon, in a TIFF
    Signature{6, "HEAPCCDR"sv, "a camera's raw picture"},  // Canon
    Signature{0, "IIU\0"sv, "a camera's raw picture"},     // Panasonic
    Signature{0, "IIRO"sv, "a camera's raw picture"},      // Olympus
    Signature{0, "IIRS"sv, "a camera's raw picture"},      // Olympus
    Signature{0, "FUJIFILMCCD-RAW"sv, "a camera's raw picture"},
    Signature{0, "FOVb"sv, "a camera's raw picture"},  // Sigma
    Signature{128, "DICM"sv, "a DICOM file"},
    Signature{0, "%PDF"sv, "a PDF document"},
    Signature{0, "PK\3\4"sv, "a zip archive"},
};

// Printable from the start, apart from line ends: UTF-8 counts as printable.
bool is_text(std::string_view text) {
  const std::string_view start = text.substr(0, 512);
  return std::all_of(start.begin(), start.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 ? byte != 0x7F && byte != 0xFF : byte == '\n' || byte == '\r' || byte == '\t';
  });
}

}  // namespace

FileFormat sniff(std::span<const std::uint8_t> bytes, std::string_view name) {
  DERMATOME_CHECK(!bytes.empty(), "{} is empty", name);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xFF\xD8\xFF"sv)) return FileFormat::jpeg;
  if (text.starts_with("\x89PNG\r\n\x1A\n"sv)) return FileFormat::png;
  if (bmp::has_signature(bytes)) return FileFormat::bmp;
  for (const Signature& signature : kRefused) {
    if (text.size() >= signature.at && text.substr(signature.at).starts_with(signature.bytes)) {
      fail("{} is {}, which is not read: save it as JPEG or PNG", name, signature.kind);
    }
  }
  for (const auto mark : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv}) {
    if (text.starts_with(mark)) return FileFormat::tiff;
  }
  if (text.starts_with("version https://git-lfs"sv)) {
    fail("{} is a Git LFS pointer, not a picture: fetch the file itself with 'git lfs pull'", name);
  }
  const std::string start = lower_case(text.substr(0, 64));
  if (start.find("<!doctype html") != std::string::npos || start.find("<html") != std::string::npos) {
    fail("{} is a web page, not a picture: download it again", name);
  }
  if (is_text(text)) fail("{} is a text, not a picture", name);
  fail("{} is neither a JPEG, a PNG, a BMP nor a TIFF picture", name);
}

}  // namespace dermatome::data
