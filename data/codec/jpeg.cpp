// libjpeg behind exceptions: its errors leave by longjmp, only over frames that own nothing, and are thrown from here.
#include "data/codec/jpeg.h"

#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include <jerror.h>
#include <jpeglib.h>

#include "data/codec/exif.h"
#include "data/codec/limits.h"

namespace dermatome::data {
namespace {

constexpr int kApp1 = JPEG_APP0 + 1;
constexpr std::string_view kExifMark{"Exif\0\0", 6};

// Each scan of a progressive file goes over the whole picture; real ones have about ten, and a file of many thousands
// would keep a processor busy for hours.
constexpr int kMostScans = 200;

// libjpeg sees `base`, the first member, and hands it back to the callbacks.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  std::array<char, JMSG_LENGTH_MAX> message;
  bool warnings_are_errors;
};

// libjpeg sees `base`, the first member, and calls it during the work.
struct ScanCounter {
  jpeg_progress_mgr base;
  bool too_many;
};

[[noreturn]] void leave(j_common_ptr state) {
  auto* manager = reinterpret_cast<ErrorManager*>(state->err);
  manager->base.format_message(state, manager->message.data());
  std::longjmp(manager->escape, 1);
}

// Level -1 is a warning. In the header they are harmless (padding, odd version numbers) unless the file ends there.
void on_message(j_common_ptr state, int level) {
  const auto* manager = reinterpret_cast<const ErrorManager*>(state->err);
  if (level < 0 && (manager->warnings_are_errors || manager->base.msg_code == JWRN_JPEG_EOF)) leave(state);
}

void on_progress(j_common_ptr state) {
  auto* counter = reinterpret_cast<ScanCounter*>(state->progress);
  counter->too_many = reinterpret_cast<jpeg_decompress_struct*>(state)->input_scan_number > kMostScans;
  if (counter->too_many) leave(state);
}

void install(ErrorManager& manager) {
  jpeg_std_error(&manager.base);
  manager.base.error_exit = leave;
  manager.base.emit_message = on_message;
  manager.message[0] = 0;
  manager.warnings_are_errors = false;
}

// Calls `body`, which must own nothing that needs a destructor, and says whether libjpeg got through it.
template <typename Body>
bool survives(ErrorManager& manager, const Body& body) {
  if (setjmp(manager.escape) != 0) return false;
  body();
  return true;
}

class Decompressor {
 public:
  Decompressor(std::span<const std::uint8_t> bytes, std::string_view name) : name_(name) {
    install(errors_);
    state_.err = &errors_.base;
    scans_.base.progress_monitor = on_progress;
    guard([&] {
      jpeg_create_decompress(&state_);
      state_.progress = &scans_.base;
      jpeg_save_markers(&state_, kApp1, 0xFFFF);
      jpeg_mem_src(&state_, bytes.data(), static_cast<unsigned long>(bytes.size()));
      jpeg_read_header(&state_, TRUE);
      many_scans_ = jpeg_has_multiple_scans(&state_) != 0;
    });
    if (state_.jpeg_color_space == JCS_CMYK || state_.jpeg_color_space == JCS_YCCK) {
      destroy();
      fail("{} is a CMYK JPEG, made for printing, whose colours are undefined here: save it as RGB", name_);
    }
  }
  ~Decompressor() { destroy(); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  ImageInfo info() const {
    return {.format = FileFormat::jpeg,
            .width = static_cast<int>(state_.image_width),
            .height = static_cast<int>(state_.image_height),
            .channels = state_.num_components,
            .bits = state_.data_precision,
            .many_scans = many_scans_,
            .orientation = orientation()};
  }

  Image decode(int reduction) {
    const bool grey = state_.jpeg_color_space == JCS_GRAYSCALE;
    const auto side = [&](JDIMENSION full) { return (static_cast<int>(full) + reduction - 1) / reduction; };
    Image image = make_image(side(state_.image_width), side(state_.image_height), grey ? 1 : 3);
    std::uint8_t* const pixels = image.pixels.data();
    const std::size_t row_bytes = image.row_bytes();
    errors_.warnings_are_errors = true;
    guard([&] {
      state_.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
      state_.dct_method = JDCT_ISLOW;
      state_.scale_num = 1;
      state_.scale_denom = static_cast<unsigned>(reduction);
      jpeg_start_decompress(&state_);
      while (state_.output_scanline < state_.output_height) {
        JSAMPROW row = pixels + state_.output_scanline * row_bytes;
        jpeg_read_scanlines(&state_, &row, 1);
      }
      jpeg_finish_decompress(&state_);
    });
    return image;
  }

 private:
  Orientation orientation() const {
    for (const jpeg_marker_struct* marker = state_.marker_list; marker != nullptr; marker = marker->next) {
      const std::span<const std::uint8_t> data(marker->data, marker->data_length);
      if (marker->marker != kApp1 || data.size() < kExifMark.size()) continue;
      if (std::memcmp(data.data(), kExifMark.data(), kExifMark.size()) != 0) continue;
      return read_exif_orientation(data.subspan(kExifMark.size()));
    }
    return Orientation::upright;
  }

  template <typename Body>
  void guard(const Body& body) {
    if (survives(errors_, body)) return;
    const int code = errors_.base.msg_code;
    destroy();
    DERMATOME_CHECK(!scans_.too_many, "{} is a JPEG of more than {} scans, damaged or made to keep programs busy",
                    name_, kMostScans);
    if (code == JWRN_JPEG_EOF || code == JERR_INPUT_EOF || code == JWRN_HIT_MARKER) {
      fail("{} is cut short or damaged: its JPEG data end before the picture does", name_);
    }
    fail("{} cannot be decoded as JPEG: {}", name_, errors_.message.data());
  }

  // Harmless when called twice or before the state was made.
  void destroy() { jpeg_destroy_decompress(&state_); }

  ErrorManager errors_;
  ScanCounter scans_{};
  jpeg_decompress_struct state_{};
  std::string name_;
  bool many_scans_ = false;
};

class Compressor {
 public:
  Compressor() {
    install(errors_);
    state_.err = &errors_.base;
  }
  ~Compressor() { jpeg_destroy_compress(&state_); }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  std::vector<std::uint8_t> encode(const Image& image, int quality) {
    // More than libjpeg can need, so that it never replaces this buffer by one of its own.
    const auto blocks = [](int side) { return (static_cast<std::size_t>(side) + 15) / 16; };
    std::vector<std::uint8_t> buffer(blocks(image.width) * blocks(image.height) * 16 * 16 * 6 + 65536);
    unsigned char* out = buffer.data();
    unsigned long size = static_cast<unsigned long>(buffer.size());
    const bool done = survives(errors_, [&] {
      jpeg_create_compress(&state_);
      jpeg_mem_dest(&state_, &out, &size);
      state_.image_width = static_cast<JDIMENSION>(image.width);
      state_.image_height = static_cast<JDIMENSION>(image.height);
      state_.input_components = image.channels;
      state_.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
      jpeg_set_defaults(&state_);
      jpeg_set_quality(&state_, quality, TRUE);
      jpeg_start_compress(&state_, TRUE);
      while (state_.next_scanline < state_.image_height) {
        JSAMPROW row = const_cast<JSAMPROW>(image.row(static_cast<int>(state_.next_scanline)));
        jpeg_write_scanlines(&state_, &row, 1);
      }
      jpeg_finish_compress(&state_);
    });
    DERMATOME_CHECK(done, "cannot write a JPEG of {}x{} pixels: {}", image.width, image.height, errors_.message.data());
    DERMATOME_CHECK(out == buffer.data(), "a JPEG of {}x{} pixels needs more than {} bytes", image.width, image.height,
                    buffer.size());
    buffer.resize(size);
    buffer.shrink_to_fit();
    return buffer;
  }

 private:
  ErrorManager errors_;
  jpeg_compress_struct state_{};
};

}  // namespace

ImageInfo jpeg::probe(std::span<const std::uint8_t> bytes, std::string_view name) {
  const ImageInfo info = Decompressor(bytes, name).info();
  check_size(info.width, info.height, name);
  return info;
}

Image jpeg::decode(std::span<const std::uint8_t> bytes, std::string_view name, int reduction) {
  Decompressor decompressor(bytes, name);
  check_size(decompressor.info().width, decompressor.info().height, name);
  return decompressor.decode(reduction);
}

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality) {
  check_image(image);
  DERMATOME_CHECK(quality >= 1 && quality <= 100, "a JPEG quality of {} is outside 1 to 100", quality);
  return Compressor().encode(image, quality);
}

#define DERMATOME_TEXT_(x) #x
#define DERMATOME_TEXT(x) DERMATOME_TEXT_(x)
std::string jpeg::library_version() {
  return "libjpeg-turbo " DERMATOME_TEXT(LIBJPEG_TURBO_VERSION);
}

}  // namespace dermatome::data
