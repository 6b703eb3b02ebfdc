// A submission to the ISIC challenge's segmentation task: a zip archive of masks, held to the official scorer's rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace dermatome::training {

struct SubmissionMask {
  std::string id;                 // ISIC_ and seven digits
  std::vector<std::uint8_t> png;  // of one channel, 0 and 255
  int width = 0, height = 0;      // of the photograph's file
};

// The photographs' ids, in the order of the files. Throws Error, naming examples, where a name is not ISIC_ and seven
// digits or comes twice.
std::vector<std::string> submission_ids(std::span<const std::filesystem::path> photographs);

// The archive of ISIC_<id>_segmentation.png, one a mask, without folders. The same masks give the same bytes.
std::vector<std::byte> submission_archive(std::span<const SubmissionMask> masks);

// Reads the archive as isic-challenge-scoring does: exactly one member holds the number of each photograph, and it is a
// PNG of one channel, of the photograph's size, with no values but 0 and 255. Throws Error saying what is wrong.
void check_submission(std::span<const std::byte> archive, std::span<const SubmissionMask> masks,
                      const std::string& file);

// "as many as the test part of ISIC 2018 has", for a number of masks; empty where no part has that many.
std::string part_of_that_size(std::size_t count);

}  // namespace dermatome::training
