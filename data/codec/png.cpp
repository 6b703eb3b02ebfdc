// libpng behind exceptions: its errors leave by longjmp, only over frames that own nothing, and are thrown from here.
#include "data/codec/png.h"

#include <png.h>
#include <zlib.h>

#include <array>
#include <bit>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include "data/codec/exif.h"
#include "data/codec/limits.h"

namespace dermatome::data {
namespace {

constexpr char kCutShort[] = "its data end before the picture does";

// What the callbacks reach through libpng's pointers.
struct Session {
  std::jmp_buf escape;
  std::array<char, 256> message;
  std::span<const std::uint8_t> unread;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* session = static_cast<Session*>(png_get_error_ptr(png));
  std::snprintf(session->message.data(), session->message.size(), "%s", message);
  std::longjmp(session->escape, 1);
}

// Warnings concern what is not used here: colour profiles, text, ancillary checksums.
void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, std::size_t count) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  if (count > session->unread.size()) png_error(png, kCutShort);
  std::memcpy(out, session->unread.data(), count);
  session->unread = session->unread.subspan(count);
}

// Calls `body`, which must own nothing that needs a destructor, and says whether libpng got through it.
template <typename Body>
bool survives(Session& session, const Body& body) {
  if (setjmp(session.escape) != 0) return false;
  body();
  return true;
}

class Reader {
 public:
  Reader(std::span<const std::uint8_t> bytes, std::string_view name) : name_(name) {
    session_.unread = bytes;
    session_.message[0] = 0;
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &session_, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      destroy();
      fail("{} cannot be decoded: libpng does not start", name_);
    }
    guard([&] {
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_size says it better
      png_set_read_fn(png_, &session_, on_read);
      png_read_info(png_, info_);
    });
  }
  ~Reader() { destroy(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  int width() const { return static_cast<int>(png_get_image_width(png_, info_)); }
  int height() const { return static_cast<int>(png_get_image_height(png_, info_)); }
  int bits() const { return png_get_bit_depth(png_, info_); }
  int channels() const { return png_get_channels(png_, info_); }
  bool has_alpha() const {
    return (png_get_color_type(png_, info_) & PNG_COLOR_MASK_ALPHA) != 0 ||
           png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
  }

  Orientation orientation() const {
    png_uint_32 count = 0;
    png_bytep exif = nullptr;
    if (png_get_eXIf_1(png_, info_, &count, &exif) == 0 || exif == nullptr) return Orientation::upright;
    return read_exif_orientation(std::span<const std::uint8_t>(exif, count));
  }

  // Low bit depths and palettes become 8 bits; then either 8 bits without alpha, or 16 native bits as stored.
  void expand(bool to_plain_8_bits) {
    guard([&] {
      png_set_expand(png_);
      if (to_plain_8_bits) {
        png_set_scale_16(png_);
        png_set_strip_alpha(png_);
      } else if constexpr (std::endian::native == std::endian::little) {
        png_set_swap(png_);
      }
      png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
  }

  // All rows into `out`, which holds height * png_get_rowbytes bytes, then the rest of the file, checked.
  void read_rows(std::uint8_t* out) {
    const std::size_t row_bytes = png_get_rowbytes(png_, info_);
    std::vector<png_bytep> rows(static_cast<std::size_t>(height()));
    for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = out + y * row_bytes;
    png_bytepp const start = rows.data();
    guard([&] {
      png_read_image(png_, start);
      png_read_end(png_, nullptr);
    });
  }

  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }

 private:
  template <typename Body>
  void guard(const Body& body) {
    if (survives(session_, body)) return;
    destroy();
    const std::string_view cause = session_.message.data();
    if (cause == kCutShort || cause == "Not enough image data") {
      fail("{} is cut short or damaged: its PNG data end before the picture does", name_);
    }
    fail("{} cannot be decoded as PNG: {}", name_, cause);
  }

  void destroy() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Session session_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::string name_;
};

struct WriteSession {
  Session session;
  std::vector<std::uint8_t>* out;
};

void on_write(png_structp png, png_bytep bytes, std::size_t count) {
  auto* writing = static_cast<WriteSession*>(png_get_io_ptr(png));
  try {
    writing->out->insert(writing->out->end(), bytes, bytes + count);
    return;
  } catch (const std::exception&) {
    // leave only after the handler has ended
  }
  png_error(png, "out of memory");
}

// Runs of one value: filters would only hide them, and searching for other repetitions takes time.
void set_up_for_masks(png_structp png) {
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
  png_set_compression_strategy(png, Z_RLE);
}

std::vector<std::uint8_t> encode(const Image& image, bool mask) {
  std::vector<std::uint8_t> bytes;
  WriteSession writing{.session = {}, .out = &bytes};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writing.session, on_error, on_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  const bool done =
      info != nullptr && survives(writing.session, [&] {
        png_set_write_fn(png, &writing, on_write, nullptr);
        png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
                     image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        if (mask) set_up_for_masks(png);
        png_write_info(png, info);
        for (int y = 0; y < image.height; ++y) png_write_row(png, image.row(y));
        png_write_end(png, info);
      });
  png_destroy_write_struct(&png, &info);
  DERMATOME_CHECK(done, "cannot write a PNG of {}x{} pixels: {}", image.width, image.height,
                  writing.session.message.data());
  return bytes;
}

}  // namespace

ImageInfo png::probe(std::span<const std::uint8_t> bytes, std::string_view name) {
  const Reader reader(bytes, name);
  check_size(reader.width(), reader.height(), name);
  return {.format = FileFormat::png,
          .width = reader.width(),
          .height = reader.height(),
          .channels = reader.channels(),
          .bits = reader.bits(),
          .has_alpha = reader.has_alpha(),
          .orientation = reader.orientation()};
}

Image png::decode(std::span<const std::uint8_t> bytes, std::string_view name) {
  Reader reader(bytes, name);
  check_size(reader.width(), reader.height(), name);
  reader.expand(true);
  Image image = make_image(reader.width(), reader.height(), reader.channels());
  DERMATOME_CHECK(reader.row_bytes() == image.row_bytes(), "{} cannot be decoded as PNG: odd row length", name);
  reader.read_rows(image.pixels.data());
  return image;
}

RawPicture png::decode_raw(std::span<const std::uint8_t> bytes, std::string_view name) {
  Reader reader(bytes, name);
  check_size(reader.width(), reader.height(), name);
  RawPicture raw{.width = reader.width(), .height = reader.height()};
  reader.expand(false);
  raw.channels = reader.channels();
  raw.bits = reader.bits();
  const std::size_t size = reader.row_bytes() * static_cast<std::size_t>(raw.height);
  std::vector<std::uint8_t> rows(size);
  reader.read_rows(rows.data());
  if (raw.bits == 16) {
    raw.samples.resize(size / 2);
    std::memcpy(raw.samples.data(), rows.data(), size);
  } else {
    raw.samples.assign(rows.begin(), rows.end());
  }
  return raw;
}

std::vector<std::uint8_t> encode_png(const Image& image) {
  check_image(image);
  return encode(image, false);
}

std::vector<std::uint8_t> encode_mask_png(const Image& mask) {
  check_mask(mask);
  return encode(mask, true);
}

std::string png::library_version() {
  return std::string("libpng ") + png_get_libpng_ver(nullptr);
}

}  // namespace dermatome::data
