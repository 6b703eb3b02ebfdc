// libzip, with its errors as sentences.
#include "models/zip_archive.h"

#include <zip.h>

#include "engine/core/error.h"
#include "models/pickle.h"

namespace dermatome {
namespace {

struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

std::string text_of(zip_error_t& error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};

[[noreturn]] void fail_making(zip_t* archive) {
  const std::string cause = zip_strerror(archive);
  zip_discard(archive);
  fail("a zip archive cannot be made ({})", cause);
}

void add_member(zip_t* archive, const ZipMember& member) {
  constexpr zip_uint16_t kFirstOf1980 = 1 << 5 | 1;  // the zero of these dates
  zip_source_t* source = zip_source_buffer(archive, member.bytes.data(), member.bytes.size(), 0);
  if (source == nullptr) fail_making(archive);
  const zip_int64_t index = zip_file_add(archive, member.name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    fail_making(archive);
  }
  const auto added = static_cast<zip_uint64_t>(index);
  if (zip_set_file_compression(archive, added, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, added, 0, kFirstOf1980, 0) != 0) {
    fail_making(archive);
  }
}

std::vector<std::byte> contents_of(zip_source_t* source) {
  zip_stat_t status;
  DERMATOME_CHECK(zip_source_stat(source, &status) == 0 && zip_source_open(source) == 0,
                  "a zip archive cannot be read back from memory");
  std::vector<std::byte> bytes(status.size);
  const zip_int64_t read = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  DERMATOME_CHECK(read == static_cast<zip_int64_t>(bytes.size()), "a zip archive cannot be read back from memory");
  return bytes;
}

}  // namespace

void ZipArchive::Close::operator()(zip* archive) const {
  zip_discard(archive);
}

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  DERMATOME_CHECK(source != nullptr, "{}: {}", file_, text_of(error));
  archive_.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
  if (archive_ == nullptr) {
    zip_source_free(source);
    fail("{}: the zip archive is cut short or damaged ({})", file_, text_of(error));
  }
  zip_error_fini(&error);
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (name != nullptr) names.emplace_back(name);
  }
  return names;
}

bool ZipArchive::contains(const std::string& name) const {
  return zip_name_locate(archive_.get(), name.c_str(), ZIP_FL_ENC_RAW) >= 0;
}

std::vector<std::byte> ZipArchive::read(const std::string& name) const {
  const std::string shown = pickle::printable(name);
  zip_stat_t status;
  DERMATOME_CHECK(zip_stat(archive_.get(), name.c_str(), ZIP_FL_ENC_RAW, &status) == 0,
                  "{}: the zip archive has no member '{}'", file_, shown);
  DERMATOME_CHECK(status.comp_method == ZIP_CM_STORE && status.encryption_method == ZIP_EM_NONE,
                  "{}: member '{}' is compressed or encrypted, which torch.save does not do", file_, shown);
  DERMATOME_CHECK(status.size <= bytes_.size(), "{}: member '{}' would have {} bytes, more than the file", file_, shown,
                  status.size);
  const std::unique_ptr<zip_file_t, CloseMember> member(zip_fopen_index(archive_.get(), status.index, 0));
  DERMATOME_CHECK(member != nullptr, "{}: member '{}' cannot be read ({})", file_, shown, zip_strerror(archive_.get()));
  std::vector<std::byte> contents(status.size);
  const zip_int64_t read = contents.empty() ? 0 : zip_fread(member.get(), contents.data(), contents.size());
  std::byte beyond{};
  DERMATOME_CHECK(read == static_cast<zip_int64_t>(contents.size()) && zip_fread(member.get(), &beyond, 1) == 0,
                  "{}: member '{}' is cut short or damaged", file_, shown);
  return contents;
}

std::vector<std::byte> zip_archive_of(std::span<const ZipMember> members) {
  const std::unique_ptr<zip_source_t, FreeSource> target(zip_source_buffer_create(nullptr, 0, 0, nullptr));
  DERMATOME_CHECK(target != nullptr, "no memory for a zip archive");
  zip_source_keep(target.get());  // the archive takes one reference, and gives it up in the end
  zip_error_t error;
  zip_error_init(&error);
  zip_t* archive = zip_open_from_source(target.get(), ZIP_TRUNCATE, &error);
  if (archive == nullptr) {
    zip_source_free(target.get());
    fail("a zip archive cannot be made ({})", text_of(error));
  }
  zip_error_fini(&error);
  for (const auto& member : members) add_member(archive, member);
  if (zip_close(archive) != 0) fail_making(archive);
  return contents_of(target.get());
}

}  // namespace dermatome
