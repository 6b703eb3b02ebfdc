// libtiff on a file in memory: strips and tiles of any depth become rows of samples, its complaints become exceptions.
#include "data/codec/tiff.h"

#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>

#include "data/codec/limits.h"

namespace dermatome::data {
namespace {

// libtiff asks for nothing larger at once: all of a picture of the largest size, four channels of 16 bits.
constexpr tmsize_t kLargestAllocation = tmsize_t{kMaxPixels} * 8;
constexpr std::uint64_t kLargestTile = std::uint64_t{256} << 20;

// What the callbacks reach through libtiff's pointers.
struct Session {
  std::span<const std::uint8_t> bytes;
  std::uint64_t at = 0;
  std::array<char, 256> message{};  // the first complaint
};

int on_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto* session = static_cast<Session*>(user);
  if (session->message[0] == 0) std::vsnprintf(session->message.data(), session->message.size(), format, arguments);
  return 1;
}

// Warnings concern unknown tags and the like.
int on_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

tmsize_t on_read(thandle_t handle, void* out, tmsize_t count) {
  auto* session = static_cast<Session*>(handle);
  if (session->at >= session->bytes.size() || count <= 0) return 0;
  const std::uint64_t left = session->bytes.size() - session->at;
  const auto taken = std::min<std::uint64_t>(static_cast<std::uint64_t>(count), left);
  std::memcpy(out, session->bytes.data() + session->at, taken);
  session->at += taken;
  return static_cast<tmsize_t>(taken);
}

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  auto* session = static_cast<Session*>(handle);
  if (whence == SEEK_CUR) offset += session->at;
  if (whence == SEEK_END) offset += session->bytes.size();
  session->at = offset;
  return offset;
}

tmsize_t on_write(thandle_t, void*, tmsize_t) {
  return 0;
}
int on_close(thandle_t) {
  return 0;
}
toff_t on_size(thandle_t handle) {
  return static_cast<Session*>(handle)->bytes.size();
}

std::string kind_of(std::uint16_t photometric) {
  switch (photometric) {
    case PHOTOMETRIC_SEPARATED:
      return "a CMYK TIFF, made for printing, whose colours are undefined here: save it as RGB";
    case PHOTOMETRIC_CFA:
    case 34892 /* LinearRaw of DNG */: return "a camera's raw picture, which is not read: develop it to JPEG";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB: return "a TIFF of Lab colours, which is not read: save it as RGB";
    case PHOTOMETRIC_YCBCR:
      return "a TIFF of YCbCr colours without JPEG compression, which is not read: save it as RGB";
    default:
      return fmt::format("a TIFF of an unusual kind (photometric interpretation {}): save it as RGB", photometric);
  }
}

// A row of values from (x, y): `values` holds whole pixels of a palette, grey or colour, or one plane of them.
struct Piece {
  int x;
  int y;
  int plane;  // first channel of the values
  int depth;  // channels that a pixel has in `values`
  std::span<const std::uint16_t> values;
};

class Reader {
 public:
  Reader(std::span<const std::uint8_t> bytes, std::string_view name) : session_{.bytes = bytes}, name_(name) {
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                   &TIFFOpenOptionsFree);
    DERMATOME_CHECK(options != nullptr, "{} cannot be decoded: libtiff does not start", name_);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kLargestAllocation);
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &session_);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
    file_.reset(TIFFClientOpenExt(name_.c_str(), "rm", &session_, on_read, on_write, on_seek, on_close, on_size,
                                  nullptr, nullptr, options.get()));
    if (file_ == nullptr) fail_decoding();
    check_raw();
    check_pages();
    read_tags();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ImageInfo info() const {
    return {.format = FileFormat::tiff,
            .width = static_cast<int>(width_),
            .height = static_cast<int>(height_),
            .channels = channels(),
            .bits = bits_,
            .has_alpha = samples_ == 2 || samples_ == 4,
            .orientation = orientation_};
  }

  // Grey and palette as one or three channels, alpha as one more.
  int channels() const { return photometric_ == PHOTOMETRIC_PALETTE ? (palette_is_grey() ? 1 : 3) : samples_; }

  // Every pixel once, in pieces of rows; values of `bits()` bits, with palettes and inverted greys resolved.
  void read(const std::function<void(const Piece&)>& take) {
    const int planes = separate_ ? samples_ : 1;
    for (int plane = 0; plane < planes; ++plane) {
      if (TIFFIsTiled(file_.get()) != 0) {
        read_tiles(plane, take);
      } else {
        read_strips(plane, take);
      }
    }
  }

  int bits() const { return bits_ == 16 ? 16 : 8; }

 private:
  [[noreturn]] void fail_decoding() const {
    const std::string_view cause = session_.message.data();
    fail("{} cannot be decoded as TIFF: {}", name_, cause.empty() ? "it is damaged" : cause);
  }

  std::uint16_t tag(std::uint32_t name, std::uint16_t otherwise) const {
    std::uint16_t value = otherwise;
    TIFFGetFieldDefaulted(file_.get(), name, &value);
    return value;
  }

  // What the page at hand is to the others: FILETYPE_REDUCEDIMAGE, FILETYPE_MASK and others, or 0.
  std::uint32_t page_kind() const {
    std::uint32_t kind = 0;
    TIFFGetFieldDefaulted(file_.get(), TIFFTAG_SUBFILETYPE, &kind);
    return kind;
  }

  // Cameras put a preview first, of a few hundred pixels, which must not pass for the photograph.
  void check_raw() const {
    const std::uint8_t* version = nullptr;
    DERMATOME_CHECK(TIFFGetField(file_.get(), TIFFTAG_DNGVERSION, &version) == 0,
                    "{} is a camera's raw picture (DNG), which is not read: develop it to JPEG", name_);
    DERMATOME_CHECK(
        (page_kind() & FILETYPE_REDUCEDIMAGE) == 0,
        "{} begins with a preview, as a camera's raw picture does, which is not read: develop it to JPEG, or "
        "save it as a TIFF of one page",
        name_);
  }

  // Damaged pages behind the first one do not matter, nor do libtiff's complaints of them.
  void check_pages() {
    const auto message = session_.message;
    bool several = false;
    while (!several && TIFFReadDirectory(file_.get()) == 1) {
      several = (page_kind() & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) == 0;
    }
    DERMATOME_CHECK(!several, "{} holds several pages, where a picture is one: save each as a file of its own", name_);
    session_.message = message;
    if (TIFFSetDirectory(file_.get(), 0) != 1) fail_decoding();
  }

  void read_tags() {
    TIFFGetField(file_.get(), TIFFTAG_IMAGEWIDTH, &width_);
    TIFFGetField(file_.get(), TIFFTAG_IMAGELENGTH, &height_);
    DERMATOME_CHECK(width_ > 0 && height_ > 0, "{} cannot be decoded as TIFF: its header gives it no pixels", name_);
    check_size(width_, height_, name_);
    bits_ = tag(TIFFTAG_BITSPERSAMPLE, 1);
    samples_ = tag(TIFFTAG_SAMPLESPERPIXEL, 1);
    separate_ = samples_ > 1 && tag(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
    photometric_ = tag(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    if (photometric_ == PHOTOMETRIC_YCBCR && tag(TIFFTAG_COMPRESSION, COMPRESSION_NONE) == COMPRESSION_JPEG) {
      TIFFSetField(file_.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      photometric_ = PHOTOMETRIC_RGB;
    }
    const std::uint16_t orientation = tag(TIFFTAG_ORIENTATION, 1);
    if (orientation >= 1 && orientation <= 8) orientation_ = static_cast<Orientation>(orientation);
    check_form();
    if (photometric_ == PHOTOMETRIC_PALETTE) read_palette();
  }

  void check_form() const {
    const std::uint16_t format = tag(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    DERMATOME_CHECK(format == SAMPLEFORMAT_UINT || format == SAMPLEFORMAT_VOID,
                    "{} holds {} numbers, where a picture has whole ones of 8 or 16 bits: save it as PNG", name_,
                    format == SAMPLEFORMAT_IEEEFP ? "floating-point" : "signed or complex");
    const bool grey = photometric_ == PHOTOMETRIC_MINISBLACK || photometric_ == PHOTOMETRIC_MINISWHITE;
    const bool palette = photometric_ == PHOTOMETRIC_PALETTE;
    const bool rgb = photometric_ == PHOTOMETRIC_RGB;
    if (!grey && !palette && !rgb) fail("{} is {}", name_, kind_of(photometric_));
    const bool fits = palette ? samples_ == 1 : grey ? samples_ <= 2 : samples_ == 3 || samples_ == 4;
    DERMATOME_CHECK(fits, "{} has {} channels, where a picture has one or three and perhaps alpha: save it as PNG",
                    name_, samples_);
    const bool depth = bits_ == 1 || bits_ == 2 || bits_ == 4 || bits_ == 8 || (bits_ == 16 && !palette);
    DERMATOME_CHECK(depth, "{} has {} bits a value, which is not read: save it with 8 or 16", name_, bits_);
  }

  // Entries of 16 bits; some programs write them with 8.
  void read_palette() {
    std::uint16_t* colours[3] = {};
    if (TIFFGetField(file_.get(), TIFFTAG_COLORMAP, &colours[0], &colours[1], &colours[2]) == 0) {
      fail("{} cannot be decoded as TIFF: it lacks the palette that its pixels refer to", name_);
    }
    const std::size_t count = std::size_t{1} << bits_;
    bool narrow = true;
    for (const auto* colour : colours) {
      narrow = narrow && std::all_of(colour, colour + count, [](std::uint16_t v) { return v <= 255; });
    }
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        palette_.push_back(narrow ? colours[c][i] : static_cast<std::uint16_t>(colours[c][i] >> 8));
      }
    }
  }

  bool palette_is_grey() const {
    for (std::size_t i = 0; i < palette_.size(); i += 3) {
      if (palette_[i] != palette_[i + 1] || palette_[i + 1] != palette_[i + 2]) return false;
    }
    return true;
  }

  void check_read(tmsize_t got, std::size_t needed) const {
    if (got >= 0 && static_cast<std::size_t>(got) >= needed) return;
    if (session_.message[0] != 0) {
      fail("{} is cut short or damaged: libtiff says '{}'", name_, session_.message.data());
    }
    fail("{} is cut short or damaged: its TIFF data end before the picture does", name_);
  }

  void read_strips(int plane, const std::function<void(const Piece&)>& take) {
    std::uint32_t rows = 0;
    TIFFGetFieldDefaulted(file_.get(), TIFFTAG_ROWSPERSTRIP, &rows);
    rows = std::clamp<std::uint32_t>(rows, 1, height_);
    const int depth = separate_ ? 1 : samples_;
    const std::size_t row_bytes = packed_bytes(width_, depth);
    std::vector<std::uint8_t> strip(row_bytes * rows);
    for (std::uint32_t y = 0; y < height_; y += rows) {
      const std::size_t needed = row_bytes * std::min(rows, height_ - y);
      const std::uint32_t index = TIFFComputeStrip(file_.get(), y, static_cast<std::uint16_t>(plane));
      check_read(TIFFReadEncodedStrip(file_.get(), index, strip.data(), static_cast<tmsize_t>(needed)), needed);
      for (std::uint32_t r = 0; r < rows && y + r < height_; ++r) {
        give(take, 0, y + r, width_, plane, depth, strip.data() + r * row_bytes);
      }
    }
  }

  void read_tiles(int plane, const std::function<void(const Piece&)>& take) {
    std::uint32_t tile_width = 0;
    std::uint32_t tile_height = 0;
    TIFFGetField(file_.get(), TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(file_.get(), TIFFTAG_TILELENGTH, &tile_height);
    const std::uint64_t size = TIFFTileSize64(file_.get());
    DERMATOME_CHECK(tile_width > 0 && tile_height > 0 && size > 0 && size <= kLargestTile,
                    "{} cannot be decoded as TIFF: its tiles are {}x{} pixels", name_, tile_width, tile_height);
    const int depth = separate_ ? 1 : samples_;
    const std::size_t row_bytes = packed_bytes(tile_width, depth);
    std::vector<std::uint8_t> tile(std::max<std::size_t>(size, row_bytes * tile_height));
    for (std::uint32_t y = 0; y < height_; y += tile_height) {
      for (std::uint32_t x = 0; x < width_; x += tile_width) {
        const std::uint32_t index = TIFFComputeTile(file_.get(), x, y, 0, static_cast<std::uint16_t>(plane));
        check_read(TIFFReadEncodedTile(file_.get(), index, tile.data(), static_cast<tmsize_t>(size)), size);
        const std::uint32_t columns = std::min(tile_width, width_ - x);
        for (std::uint32_t r = 0; r < tile_height && y + r < height_; ++r) {
          give(take, x, y + r, columns, plane, depth, tile.data() + r * row_bytes);
        }
      }
    }
  }

  std::size_t packed_bytes(std::uint32_t columns, int depth) const {
    return (static_cast<std::size_t>(columns) * static_cast<std::size_t>(depth * bits_) + 7) / 8;
  }

  void give(const std::function<void(const Piece&)>& take, std::uint32_t x, std::uint32_t y, std::uint32_t columns,
            int plane, int depth, const std::uint8_t* packed) {
    unpack(packed, static_cast<std::size_t>(columns) * static_cast<std::size_t>(depth));
    if (photometric_ == PHOTOMETRIC_PALETTE) {
      depth = channels();
      resolve_palette(depth);
    } else {
      scale_values(plane, depth);
    }
    take({.x = static_cast<int>(x), .y = static_cast<int>(y), .plane = plane, .depth = depth, .values = values_});
  }

  void unpack(const std::uint8_t* packed, std::size_t count) {
    values_.resize(count);
    if (bits_ == 16) {
      std::memcpy(values_.data(), packed, count * 2);
    } else if (bits_ == 8) {
      std::copy_n(packed, count, values_.begin());
    } else {
      const auto bits = static_cast<std::size_t>(bits_);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bit = i * bits;
        values_[i] = static_cast<std::uint16_t>(packed[bit / 8] >> (8 - bits - bit % 8) & ((1 << bits) - 1));
      }
    }
  }

  void resolve_palette(int depth) {
    indices_ = values_;
    values_.clear();
    for (const std::uint16_t index : indices_) {
      for (std::size_t c = 0; c < static_cast<std::size_t>(depth); ++c) values_.push_back(palette_[index * 3u + c]);
    }
  }

  // Low depths to 8 bits; where 0 is white, greys (not their alpha) are turned over.
  void scale_values(int plane, int depth) {
    const int largest = (1 << bits_) - 1;
    if (bits_ < 8) {
      for (auto& value : values_) value = static_cast<std::uint16_t>(value * 255 / largest);
    }
    if (photometric_ != PHOTOMETRIC_MINISWHITE || plane > 0) return;
    const int white = bits_ == 16 ? 65535 : 255;
    for (std::size_t i = 0; i < values_.size(); i += static_cast<std::size_t>(depth)) {
      values_[i] = static_cast<std::uint16_t>(white - values_[i]);
    }
  }

  struct Close {
    void operator()(TIFF* file) const { TIFFClose(file); }
  };

  Session session_;
  std::string name_;
  std::unique_ptr<TIFF, Close> file_;
  std::uint32_t width_ = 0;
  std::uint32_t height_ = 0;
  int bits_ = 0;
  int samples_ = 0;
  bool separate_ = false;
  std::uint16_t photometric_ = 0;
  Orientation orientation_ = Orientation::upright;
  std::vector<std::uint16_t> palette_;  // r, g, b of 8 bits
  std::vector<std::uint16_t> values_;   // of the piece at hand
  std::vector<std::uint16_t> indices_;
};

}  // namespace

ImageInfo tiff::probe(std::span<const std::uint8_t> bytes, std::string_view name) {
  return Reader(bytes, name).info();
}

Image tiff::decode(std::span<const std::uint8_t> bytes, std::string_view name) {
  Reader reader(bytes, name);
  const ImageInfo info = reader.info();
  Image image = make_image(info.width, info.height, info.channels <= 2 ? 1 : 3);
  const bool deep = reader.bits() == 16;
  reader.read([&](const Piece& piece) {
    const int channels = std::min(piece.depth, image.channels - piece.plane);
    if (channels <= 0) return;  // a plane of alpha
    std::uint8_t* out = image.pixels.data() + image.offset(piece.x, piece.y) + piece.plane;
    const auto depth = static_cast<std::size_t>(piece.depth);
    for (std::size_t i = 0; i < piece.values.size(); i += depth, out += image.channels) {
      for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
        const std::uint32_t value = piece.values[i + c];
        out[c] = static_cast<std::uint8_t>(deep ? (value * 255 + 32895) >> 16 : value);  // rounded as libpng does
      }
    }
  });
  return image;
}

RawPicture tiff::decode_raw(std::span<const std::uint8_t> bytes, std::string_view name) {
  Reader reader(bytes, name);
  const ImageInfo info = reader.info();
  RawPicture raw{.width = info.width, .height = info.height, .channels = info.channels};
  raw.bits = reader.bits();
  const auto channels = static_cast<std::size_t>(info.channels);
  raw.samples.resize(static_cast<std::size_t>(info.width) * static_cast<std::size_t>(info.height) * channels);
  reader.read([&](const Piece& piece) {
    const auto pixel =
        static_cast<std::size_t>(piece.y) * static_cast<std::size_t>(info.width) + static_cast<std::size_t>(piece.x);
    std::uint16_t* out = raw.samples.data() + pixel * channels + static_cast<std::size_t>(piece.plane);
    const auto depth = static_cast<std::size_t>(piece.depth);
    for (std::size_t i = 0; i < piece.values.size(); i += depth, out += channels) {
      std::copy_n(piece.values.data() + i, depth, out);
    }
  });
  return raw;
}

std::string tiff::library_version() {
  const std::string text = TIFFGetVersion();  // "LIBTIFF, Version 4.5.0\n..."
  const std::size_t start = text.find_first_of("0123456789");
  return "libtiff " + text.substr(start, text.find_first_not_of("0123456789.", start) - start);
}

}  // namespace dermatome::data
