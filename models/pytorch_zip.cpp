// The newest generation: a zip archive NAME/data.pkl, NAME/data/KEY, NAME/byteorder, NAME/version.
#include <map>
#include <memory>

#include "engine/core/error.h"
#include "models/pytorch_file.h"
#include "models/zip_archive.h"

namespace dermatome {
namespace {

// What stays in memory as long as somebody may ask for storages.
struct Members {
  ZipArchive archive;
  std::string folder;
  std::vector<std::byte> pickle;
  std::map<std::string, std::vector<std::byte>> storages;
};

std::string folder_of_pickle(const ZipArchive& archive, const std::string& file) {
  constexpr std::string_view kPickle = "/data.pkl";
  for (const std::string& name : archive.names()) {
    if (name.ends_with(kPickle) && name.find('/') == name.size() - kPickle.size()) {
      return name.substr(0, name.size() - kPickle.size());
    }
  }
  fail("{}: the zip archive holds no data.pkl, so torch.save did not write it", file);
}

void check_byte_order(const Members& members, const std::string& file) {
  const std::string name = members.folder + "/byteorder";
  if (!members.archive.contains(name)) return;  // before torch 2.1: little-endian
  const auto bytes = members.archive.read(name);
  const std::string_view order(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  DERMATOME_CHECK(order == "little", "{}: the file's byte order is '{}'", file, pickle::printable(order));
}

}  // namespace

PytorchFile read_pytorch_zip(std::span<const std::byte> bytes, const std::string& file) {
  const auto members = std::make_shared<Members>(
      Members{.archive = ZipArchive(bytes, file), .folder = {}, .pickle = {}, .storages = {}});
  members->folder = folder_of_pickle(members->archive, file);
  check_byte_order(*members, file);
  members->pickle = members->archive.read(members->folder + "/data.pkl");
  auto read = pickle::unpickle(members->pickle, file, [&](pickle::Document& document, const pickle::Value& id) {
    return load_storage(document, id, file);
  });
  const auto storage_bytes = [members](const std::string& key) -> std::span<const std::byte> {
    const auto [entry, fresh] = members->storages.try_emplace(key);
    if (fresh) entry->second = members->archive.read(members->folder + "/data/" + key);
    return entry->second;
  };
  return {.document = std::move(read.document), .root = read.root, .storage_bytes = storage_bytes};
}

}  // namespace dermatome
