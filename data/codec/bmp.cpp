// A strict reader of Windows bitmaps: every number of the header is checked before it is used.
#include "data/codec/bmp.h"

#include <algorithm>
#include <array>
#include <bit>

#include "data/codec/limits.h"

namespace dermatome::data {
namespace {

constexpr std::size_t kFileHeader = 14;
constexpr std::uint32_t kCoreHeader = 12;  // OS/2: sides of 16 bits, palette entries of three bytes
constexpr std::uint32_t kInfoHeader = 40;
constexpr std::array<std::uint32_t, 7> kHeaderSizes{kCoreHeader, kInfoHeader, 52, 56, 64, 108, 124};

enum Compression : std::uint32_t { kPlain = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3, kAlphaBitFields = 6 };

// Where a colour lies in a pixel of 16 or 32 bits.
struct Field {
  std::uint32_t mask = 0;

  std::uint8_t of(std::uint32_t pixel) const {
    if (mask == 0) return 0;
    const int shift = std::countr_zero(mask);
    const std::uint64_t largest = mask >> shift;
    const std::uint64_t value = (pixel & mask) >> shift;
    return static_cast<std::uint8_t>((value * 255 + largest / 2) / largest);
  }
  bool is_one_run() const {
    return std::has_single_bit((static_cast<std::uint64_t>(mask) >> std::countr_zero(mask)) + 1);
  }
};

class Reader {
 public:
  Reader(std::span<const std::uint8_t> bytes, std::string_view name) : bytes_(bytes), name_(name) {
    check(bytes.size() >= kFileHeader + 4);
    header_ = u32(kFileHeader);
    check(bytes.size() >= kFileHeader + header_);
    if (header_ == kCoreHeader) {
      read_core_header();
    } else {
      read_info_header();
    }
    DERMATOME_CHECK(width_ > 0 && height_ > 0, "{} cannot be decoded as BMP: its header gives it no pixels", name_);
    check_size(width_, height_, name_);
    if (bits_ == 16 || bits_ == 32) read_fields();
    if (bits_ <= 8) read_palette();
    row_bytes_ = (static_cast<std::size_t>(width_) * static_cast<std::size_t>(bits_) + 31) / 32 * 4;
  }

  int width() const { return static_cast<int>(width_); }
  int height() const { return static_cast<int>(height_); }
  int channels() const { return bits_ <= 8 && palette_is_grey() ? 1 : 3; }

  Image decode() const {
    const std::size_t start = u32(10);
    const std::size_t needed = row_bytes_ * static_cast<std::size_t>(height_);
    check(start <= bytes_.size() && needed <= bytes_.size() - start);
    Image image = make_image(width(), height(), channels());
    for (int y = 0; y < image.height; ++y) {
      const auto row = static_cast<std::size_t>(top_down_ ? y : image.height - 1 - y);
      decode_row(bytes_.data() + start + row * row_bytes_, image, y);
    }
    return image;
  }

 private:
  void check(bool whole) const {
    DERMATOME_CHECK(whole, "{} is cut short or damaged: its BMP data end before the picture does", name_);
  }

  std::uint32_t u16(std::size_t at) const { return static_cast<std::uint32_t>(bytes_[at] | bytes_[at + 1] << 8); }
  std::uint32_t u32(std::size_t at) const { return u16(at) | u16(at + 2) << 16; }
  std::int32_t i32(std::size_t at) const { return static_cast<std::int32_t>(u32(at)); }

  void read_core_header() {
    width_ = u16(18);
    height_ = u16(20);
    set_bits(u16(24));
  }

  void read_info_header() {
    width_ = i32(18);
    height_ = i32(22);
    top_down_ = height_ < 0;
    if (top_down_) height_ = -height_;
    set_bits(u16(28));
    compression_ = u32(30);
    DERMATOME_CHECK(compression_ != kRle8 && compression_ != kRle4,
                    "{} is a run-length encoded BMP, which is not read: save it as PNG", name_);
    const bool fields = compression_ == kBitFields || compression_ == kAlphaBitFields;
    DERMATOME_CHECK(compression_ == kPlain || (fields && (bits_ == 16 || bits_ == 32)),
                    "{} cannot be decoded as BMP: compression {} with {} bits a pixel is not read", name_, compression_,
                    bits_);
  }

  void set_bits(std::uint32_t bits) {
    constexpr std::array<std::uint32_t, 6> kAllowed{1, 4, 8, 16, 24, 32};
    DERMATOME_CHECK(std::find(kAllowed.begin(), kAllowed.end(), bits) != kAllowed.end(),
                    "{} cannot be decoded as BMP: {} bits a pixel are not allowed", name_, bits);
    bits_ = static_cast<int>(bits);
  }

  // Three masks behind the first 40 bytes, inside a longer header or after it; without them five bits a colour, or
  // eight.
  void read_fields() {
    fields_ = bits_ == 16 ? std::array<Field, 3>{Field{0x7C00}, Field{0x03E0}, Field{0x001F}}
                          : std::array<Field, 3>{Field{0xFF0000}, Field{0x00FF00}, Field{0x0000FF}};
    if (compression_ == kPlain) return;
    constexpr std::size_t kMasks = kFileHeader + kInfoHeader;
    check(bytes_.size() >= kMasks + 12);
    for (std::size_t c = 0; c < 3; ++c) {
      fields_[c].mask = u32(kMasks + 4 * c);
      DERMATOME_CHECK(fields_[c].mask != 0 && fields_[c].is_one_run(),
                      "{} cannot be decoded as BMP: its colour masks make no sense", name_);
    }
  }

  void read_palette() {
    const std::size_t entry = header_ == kCoreHeader ? 3 : 4;
    const std::size_t possible = std::size_t{1} << bits_;
    const std::size_t used = header_ >= kInfoHeader ? u32(46) : 0;
    const std::size_t count = used == 0 ? possible : std::min(used, possible);
    const std::size_t start = kFileHeader + header_;
    check(bytes_.size() - start >= count * entry);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* colour = bytes_.data() + start + i * entry;
      palette_.push_back({.r = colour[2], .g = colour[1], .b = colour[0]});
    }
  }

  bool palette_is_grey() const {
    return std::all_of(palette_.begin(), palette_.end(), [](Rgb c) { return c.r == c.g && c.g == c.b; });
  }

  Rgb palette_colour(const std::uint8_t* row, int x) const {
    const auto bit = static_cast<std::size_t>(x) * static_cast<std::size_t>(bits_);
    const int shift = 8 - bits_ - static_cast<int>(bit % 8);
    const std::size_t index = static_cast<std::size_t>(row[bit / 8] >> shift) & ((std::size_t{1} << bits_) - 1);
    DERMATOME_CHECK(index < palette_.size(), "{} cannot be decoded as BMP: a pixel has colour {} of a palette of {}",
                    name_, index, palette_.size());
    return palette_[index];
  }

  Rgb colour(const std::uint8_t* row, int x) const {
    if (bits_ <= 8) return palette_colour(row, x);
    const std::uint8_t* pixel = row + static_cast<std::size_t>(x) * static_cast<std::size_t>(bits_) / 8;
    if (bits_ == 24) return {.r = pixel[2], .g = pixel[1], .b = pixel[0]};
    std::uint32_t value = static_cast<std::uint32_t>(pixel[0] | pixel[1] << 8);
    if (bits_ == 32) value |= static_cast<std::uint32_t>(pixel[2]) << 16 | static_cast<std::uint32_t>(pixel[3]) << 24;
    return {.r = fields_[0].of(value), .g = fields_[1].of(value), .b = fields_[2].of(value)};
  }

  void decode_row(const std::uint8_t* row, Image& image, int y) const {
    std::uint8_t* out = image.row(y);
    for (int x = 0; x < image.width; ++x, out += image.channels) {
      const Rgb pixel = colour(row, x);
      out[0] = pixel.r;
      if (image.channels == 1) continue;
      out[1] = pixel.g;
      out[2] = pixel.b;
    }
  }

  std::span<const std::uint8_t> bytes_;
  std::string name_;
  std::uint32_t header_ = 0;  // its size
  std::int64_t width_ = 0;
  std::int64_t height_ = 0;
  bool top_down_ = false;
  int bits_ = 0;  // a pixel
  std::uint32_t compression_ = kPlain;
  std::array<Field, 3> fields_;
  std::vector<Rgb> palette_;
  std::size_t row_bytes_ = 0;
};

}  // namespace

bool bmp::has_signature(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kFileHeader + 4 || bytes[0] != 'B' || bytes[1] != 'M') return false;
  const std::uint32_t size = bytes[14] | static_cast<std::uint32_t>(bytes[15]) << 8 |
                             static_cast<std::uint32_t>(bytes[16]) << 16 | static_cast<std::uint32_t>(bytes[17]) << 24;
  return std::find(kHeaderSizes.begin(), kHeaderSizes.end(), size) != kHeaderSizes.end();
}

ImageInfo bmp::probe(std::span<const std::uint8_t> bytes, std::string_view name) {
  const Reader reader(bytes, name);
  return {.format = FileFormat::bmp,
          .width = reader.width(),
          .height = reader.height(),
          .channels = reader.channels(),
          .bits = 8};
}

Image bmp::decode(std::span<const std::uint8_t> bytes, std::string_view name) {
  return Reader(bytes, name).decode();
}

}  // namespace dermatome::data
