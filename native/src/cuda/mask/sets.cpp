#include "sets.h"

#include <algorithm>
#include <vector>

#include "common/sets.h"
#include "cuda/support/staging.h"
#include "sets_kernels.h"

namespace threegate::cuda {
namespace {

constexpr int64_t kMostBytes = int64_t{256} << 20;  // of the parts of host masks that are on the device at a time
constexpr int64_t kLeastWords = 1024;
constexpr int64_t kLeastSlot = int64_t{1} << 16;

// The counters on the device, and the masks, part by part.
class Parts {
 public:
  Parts(CudaSession& session, const tg_mask_sets& sets, uint64_t* result, int64_t counters)
      : session_(session), sets_(sets), result_(result), counters_(counters) {
    for (int64_t i = 0; i < sets.count; ++i) {
      brought_ += is_on_device(sets.masks[i]) ? 0 : 1;
    }
    takes_result_ = result != nullptr && !is_on_device(result);
    const int64_t copies = brought_ + (takes_result_ ? 1 : 0);
    const int64_t words = std::max<int64_t>(words_of(sets), 1);
    each_ = std::min(words, kMostWords);
    if (copies > 0) {
      each_ = std::min(each_, std::max(kMostBytes / 8 / copies, kLeastWords));
    }
    if (copies > 0) {
      reserve_slots(session, kLeastSlot, kLeastSlot);  // reserved first, because the rest takes all available memory
    }
    while (!session.memory.try_reserve(lay_out(nullptr, copies)) && copies > 0 && each_ > kLeastWords) {
      each_ = std::max(each_ / 2, kLeastWords);
    }
    session.memory.reserve(lay_out(nullptr, copies));
    lay_out(session.memory.get(), copies);
    check(cudaMemsetAsync(counts_, 0, static_cast<size_t>(counters) * sizeof(uint64_t), session.stream()), "counters");
  }

  [[nodiscard]] uint64_t* counts() const { return counts_; }

  // Calls body(sets, result) for each part of the masks and of the result.
  template <typename Body>
  void run(Body body) {
    const int64_t words = words_of(sets_);
    for (int64_t first = 0; first < words; first += each_) {
      DeviceSets part{};
      part.count = static_cast<int32_t>(sets_.count);
      part.words = std::min(each_, words - first);
      const auto below = [](int64_t value) { return static_cast<uint32_t>(std::min(value, 2 * kMostWords)); };
      part.across = below(words_across(sets_));
      part.row_end = below(words_across(sets_) - 1 - first % words_across(sets_));
      part.last_word = bits_of_last_word(sets_);
      size_t next = 0;
      // The masks of this part overwrite those of the last one, after the kernels that read them.
      Uploads uploads(session_, brought_ * part.words * 8, nullptr);
      for (int64_t i = 0; i < sets_.count; ++i) {
        const uint64_t* mask = sets_.masks[i] + first;
        if (!is_on_device(sets_.masks[i])) {
          uint64_t* there = copies_[next++];
          uploads.add_array(mask, part.words, there);
          mask = there;
        }
        part.masks[i] = mask;
      }
      uint64_t* to = result_ == nullptr ? nullptr : takes_result_ ? copies_[next] : result_ + first;
      body(part, to);
      if (takes_result_) {
        copy_to_host(session_, to, part.words * 8, result_ + first);
      }
    }
  }

  [[nodiscard]] std::vector<uint64_t> fetch() const {
    std::vector<uint64_t> counts(static_cast<size_t>(counters_));
    copy_to_host(session_, counts_, counters_ * static_cast<int64_t>(sizeof(uint64_t)), counts.data());
    return counts;
  }

 private:
  int64_t lay_out(uint8_t* memory, int64_t copies) {
    Layout layout(memory);
    counts_ = layout.take<uint64_t>(counters_);
    copies_.clear();
    for (int64_t i = 0; i < copies; ++i) {
      copies_.push_back(layout.take<uint64_t>(each_));
    }
    return layout.used();
  }

  CudaSession& session_;
  const tg_mask_sets& sets_;
  uint64_t* result_;
  int64_t counters_;
  int64_t brought_ = 0;
  bool takes_result_ = false;
  int64_t each_ = 1;
  uint64_t* counts_ = nullptr;
  std::vector<uint64_t*> copies_;
};

}  // namespace

int64_t combine(CudaSession& session, const tg_mask_sets& sets, int32_t operation, uint64_t* result) {
  Parts parts(session, sets, result, 1);
  parts.run([&](const DeviceSets& part, uint64_t* to) {
    check(launch_combine(part, operation, to, parts.counts(), session.multiprocessors, session.stream()), "combining masks");
  });
  return static_cast<int64_t>(parts.fetch()[0]);
}

void overlaps(CudaSession& session, const tg_mask_sets& sets, int64_t* common, int64_t* memberships) {
  const int64_t pairs = sets.count * sets.count;
  Parts parts(session, sets, nullptr, pairs + sets.count + 1);
  parts.run([&](const DeviceSets& part, uint64_t*) {
    check(launch_common(part, parts.counts(), session.multiprocessors, session.stream()), "overlaps of masks");
    if (memberships != nullptr) {
      check(launch_memberships(part, parts.counts() + pairs, session.multiprocessors, session.stream()), "overlaps of masks");
    }
  });
  const std::vector<uint64_t> counts = parts.fetch();
  fill_overlaps(
      sets, common, memberships, [&](int64_t at) { return static_cast<int64_t>(counts[static_cast<size_t>(at)]); },
      [&](int64_t at) { return static_cast<int64_t>(counts[static_cast<size_t>(pairs + at)]); });
}

}  // namespace threegate::cuda
