// One pair of a cache as bytes, with a checksum over all of them. Internal to the cache.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/near_duplicates.h"
#include "data/prepared.h"

namespace dermatome::data {

// Bytes that an entry of that size has.
std::uint64_t entry_bytes(int size);

// Everything besides size and contents that the pixels of an entry depend on.
std::string preparation_version(const Preparation& preparation = {});

std::vector<std::uint8_t> encode_entry(const PreparedPair& pair);

// Nothing for bytes that are not a whole and undamaged entry of that size.
std::optional<PreparedPair> decode_entry(std::span<const std::uint8_t> bytes, int size);

// The same for a fingerprint.
std::uint64_t print_bytes();  // of an encoded fingerprint
std::vector<std::uint8_t> encode_print(const Fingerprint& print);
std::optional<Fingerprint> decode_print(std::span<const std::uint8_t> bytes);

}  // namespace dermatome::data
