// PyTorch's checkpoints (.pth, .pt, .h5 of fastai 0.7), which come in three generations: a pickle that refers to
// storages, and the storages' bytes.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "models/pickle.h"

namespace dermatome {

struct PytorchFile {
  pickle::Document document;
  pickle::Id root = 0;
  // Bytes of the storage of that key. Throws Error where there is none; the bytes live as long as this and the file do.
  std::function<std::span<const std::byte>(const std::string& key)> storage_bytes;
};

// Each reads a whole file, which must outlive the result, and throws Error, one sentence with `file` in front, for
// whatever is missing, damaged, cut short or refused.
PytorchFile read_pytorch_zip(std::span<const std::byte> bytes, const std::string& file);     // torch >= 1.6
PytorchFile read_pytorch_stream(std::span<const std::byte> bytes, const std::string& file);  // torch 0.2 to 1.5
PytorchFile read_pytorch_tar(std::span<const std::byte> bytes, const std::string& file);     // torch 0.1

// Which one it is, by content.
bool is_zip(std::span<const std::byte> bytes);
bool is_pickle(std::span<const std::byte> bytes);  // the stream starts with one
bool is_tar(std::span<const std::byte> bytes);

// The elements of a storage, of exactly the size that the pickle says. Throws Error with `file` in front.
std::span<const std::byte> elements_of(const PytorchFile& pytorch, const pickle::Storage& storage,
                                       const std::string& file);

// Storages by key, and PytorchFile::storage_bytes of them.
using StorageBytes = std::map<std::string, std::span<const std::byte>>;
std::function<std::span<const std::byte>(const std::string&)> by_key(StorageBytes storages, const std::string& file);

// What zip and stream have in common: the persistent id ("storage", type, key, location, elements[, view]) of a
// storage, and whether the file's system information says little-endian.
pickle::Value load_storage(pickle::Document& document, const pickle::Value& id, const std::string& file);
void check_little_endian(const pickle::Pickle& information, const std::string& file);

}  // namespace dermatome
