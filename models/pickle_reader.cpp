// Reading on, with every length checked against what is left.
#include "models/pickle_reader.h"

#include "engine/core/error.h"

namespace dermatome {

pickle::Pickle PickleReader::next(const pickle::PersistentLoader& loader) {
  auto read = pickle::unpickle(bytes_.subspan(at_), what_, loader);
  at_ += read.length;
  return read;
}

std::int64_t PickleReader::next_count() {
  const auto read = next();
  DERMATOME_CHECK(read.value().kind == pickle::Kind::integer && read.value().integer >= 0,
                  "{} does not start with a count", what_);
  return read.value().integer;
}

std::span<const std::byte> PickleReader::take(std::int64_t elements, std::size_t bytes_each) {
  const auto each = static_cast<std::int64_t>(bytes_each);
  DERMATOME_CHECK(elements >= 0 && elements <= INT64_MAX / each, "{}: a storage would have {} elements", what_,
                  elements);
  const auto count = static_cast<std::uint64_t>(elements * each);
  DERMATOME_CHECK(count <= bytes_.size() - at_, "{} is cut short: {} bytes are wanted and {} are there", what_, count,
                  bytes_.size() - at_);
  const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
  at_ += taken.size();
  return taken;
}

std::vector<std::int64_t> PickleReader::numbers(std::size_t count) {
  std::vector<std::int64_t> values(count);
  for (auto& value : values) value = number<std::int64_t>();
  return values;
}

}  // namespace dermatome
