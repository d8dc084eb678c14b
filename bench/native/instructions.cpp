// Runs each kernel once on a small fixed input, for ci/instructions, which counts the instructions of the functions case_*.
// Prints nothing. The inputs depend on no library, so that only kernels change the counts.
#include <string>

#include "support.h"

// valgrind knows the functions by these names.
#define TG_CASE extern "C" __attribute__((noinline)) void

namespace {

constexpr bench::Shape kShape{256, 320};
constexpr int64_t kEntries = 256 * 320;

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// A roughly normal number: the sum of four uniform ones.
float entry(uint64_t index) {
  const uint64_t random = mix(index);
  float sum = 0;
  for (unsigned i = 0; i < 4; ++i) {
    sum += static_cast<float>((random >> (16 * i)) & 0xffffU) / 65536.0F - 0.5F;
  }
  return 0.0346F * sum;
}

struct Inputs {
  std::vector<uint16_t> base;
  std::vector<uint16_t> few;     // 1 % changed
  std::vector<uint16_t> many;    // 20 % changed
  std::vector<float> wide;       // the base and a little more in float32
  std::vector<uint16_t> scaled;  // the base with a scale of each column, 1 to 2
  bench::Context context = bench::open_context();
  bench::Memory host;
  tg_operand before{};
  tg_operand after{};
  tg_operand changed{};
  tg_operand masters{};
  tg_operand columns{};
  std::vector<uint64_t> mask = std::vector<uint64_t>(256 * 5, 0);
  std::vector<uint64_t> set = std::vector<uint64_t>(256 * 5, 0x5555555555555555U);

  Inputs() {
    for (uint64_t i = 0; i < static_cast<uint64_t>(kEntries); ++i) {
      base.push_back(bench::to_bf16(entry(i)));
      few.push_back(static_cast<uint16_t>(base.back() + (mix(~i) % 100 == 0 ? 1 : 0)));
      many.push_back(static_cast<uint16_t>(base.back() + (mix(~i) % 5 == 0 ? 1 : 0)));
      wide.push_back(bench::from_bf16(base.back()) * (1 + 1e-3F * entry(~i)));
      const uint64_t column = i % static_cast<uint64_t>(kShape.columns);
      scaled.push_back(bench::to_bf16(bench::from_bf16(base.back()) * (1 + static_cast<float>(mix(column) % 256) / 256)));
    }
    columns = bench::operand(scaled, kShape);
    before = bench::operand(base, kShape);
    after = bench::operand(few, kShape);
    changed = bench::operand(many, kShape);
    masters.size = sizeof(masters);
    masters.values = {wide.data(), kShape.rows, kShape.columns, kShape.columns, TG_F32, 0};
  }

  void require(tg_status status) const { bench::require(context.get(), status); }

  template <typename Query>
  tg_workspace workspace(Query query) {
    tg_workspace_size size{sizeof(size), 0, 0};
    require(query(&size));
    host = bench::allocate(size.host_bytes);
    return {sizeof(tg_workspace), host.get(), size.host_bytes, nullptr, 0};
  }

  void diff(const tg_operand& one, const tg_operand& other) {
    tg_diff_profiles profiles{};
    profiles.size = sizeof(profiles);
    profiles.mask = mask.data();
    profiles.mask_words = static_cast<int64_t>(mask.size());
    const tg_diff_options options{sizeof(options)};
    tg_diff_result result{};
    result.size = sizeof(result);
    const tg_workspace work = workspace(
        [&](tg_workspace_size* size) { return tg_diff_workspace(context.get(), &one, &other, 1, &options, &profiles, size); });
    require(tg_diff(context.get(), &one, &other, 1, &options, nullptr, &work, &profiles, &result));
  }
};

Inputs& in() {
  static Inputs inputs;
  return inputs;
}

bench::Triplets& triplets() {
  static bench::Triplets found(kShape, 16, 1e-4);
  return found;
}

std::vector<uint8_t>& digests() {
  static std::vector<uint8_t> bytes(64);
  return bytes;
}

tg_span span() { return {in().base.data(), 2 * kEntries}; }

}  // namespace

TG_CASE case_diff_bf16_few() { in().diff(in().before, in().after); }
TG_CASE case_diff_bf16_many() { in().diff(in().before, in().changed); }
TG_CASE case_diff_f32_bf16() { in().diff(in().masters, in().after); }
TG_CASE case_diff_f32_f32() { in().diff(in().masters, in().masters); }
TG_CASE case_blake3() {
  const tg_span bytes = span();
  in().require(tg_blake3(in().context.get(), &bytes, 1, nullptr, digests().data()));
}
TG_CASE case_sha256() {
  const tg_span bytes = span();
  in().require(tg_sha256(in().context.get(), &bytes, 1, nullptr, digests().data()));
}
TG_CASE case_svd() { bench::decompose(in().context.get(), in().before, triplets(), 1); }
TG_CASE case_mask_smallest() {
  const tg_mask_scores scores{sizeof(scores), &in().before, nullptr, nullptr, nullptr, 0, 0, 0};
  const tg_mask_options options{sizeof(options), kEntries / 2, 1, 0};
  const tg_workspace work = in().workspace(
      [&](tg_workspace_size* size) { return tg_mask_select_workspace(in().context.get(), &scores, &options, size); });
  in().require(tg_mask_select(in().context.get(), &scores, &options, nullptr, &work, in().set.data(), 256 * 5));
}
TG_CASE case_mask_principal() {
  const bench::Triplets& found = triplets();
  const tg_mask_scores scores{sizeof(scores),     nullptr, found.values.data(), found.left.data(),
                              found.right.data(), 16,      kShape.rows,         kShape.columns};
  const tg_mask_options options{sizeof(options), kEntries / 2, 0, 0};
  const tg_workspace work = in().workspace(
      [&](tg_workspace_size* size) { return tg_mask_select_workspace(in().context.get(), &scores, &options, size); });
  in().require(tg_mask_select(in().context.get(), &scores, &options, nullptr, &work, in().set.data(), 256 * 5));
}
TG_CASE case_magnitude_overlaps() {
  const uint64_t* const masks[] = {in().mask.data(), in().set.data()};
  const tg_mask_sets sets{sizeof(sets), &masks[0], 2, kShape.rows, kShape.columns};
  std::vector<int32_t> codes(TG_MAGNITUDE_CODES);
  std::vector<int64_t> counts(size_t{5} * TG_MAGNITUDE_CODES);
  int64_t found = 0;
  in().require(tg_magnitude_overlaps(in().context.get(), &in().before, &sets, TG_MAGNITUDE_CODES, codes.data(), counts.data(),
                                     counts.data() + TG_MAGNITUDE_CODES, &found));
}
void change_model(const tg_operand& base, bool scores) {
  std::vector<int32_t> ends;
  for (int32_t end = 0x3a00; end < 0x3d80; end += 0x10) {
    ends.push_back(end);
  }
  ends.push_back(TG_MAGNITUDE_CODES);
  const auto bins = static_cast<int64_t>(ends.size());
  const tg_change_model model{sizeof(model), &base, in().mask.data(), nullptr, bins, ends.data()};
  std::vector<double> logits_of(static_cast<size_t>(kShape.rows + kShape.columns + bins));
  tg_change_logits logits{sizeof(logits),
                          logits_of.data(),
                          logits_of.data() + kShape.rows,
                          logits_of.data() + kShape.rows + kShape.columns,
                          0,
                          0,
                          0,
                          0,
                          0};
  const tg_change_options until{sizeof(until), 1e-4, 100};
  const tg_workspace work =
      in().workspace([&](tg_workspace_size* size) { return tg_change_workspace(in().context.get(), &model, size); });
  in().require(tg_change_fit(in().context.get(), &model, &until, &work, &logits));
  in().require(logits.status);
  if (scores) {
    const uint64_t* sets[] = {in().set.data()};
    tg_change_score_result score{};
    in().require(tg_change_score(in().context.get(), &model, &logits, &sets[0], 1, &work, &score));
  }
}
TG_CASE case_change_model() { change_model(in().before, true); }
// Columns and bins of magnitudes are coupled.
TG_CASE case_change_model_scales() { change_model(in().columns, false); }
TG_CASE case_rescaling() {
  std::vector<double> factors(static_cast<size_t>(kShape.rows + kShape.columns));
  tg_rescaling result{};
  result.size = sizeof(result);
  result.row_factors = factors.data();
  result.column_factors = factors.data() + kShape.rows;
  const tg_rescaling_options options{sizeof(options), 1e-8, 500};
  const tg_workspace work = in().workspace([&](tg_workspace_size* size) {
    return tg_rescaling_fit_workspace(in().context.get(), &in().before, &in().changed, &options, size);
  });
  in().require(tg_rescaling_fit(in().context.get(), &in().before, &in().changed, &options, &work, &result));
}
TG_CASE case_patch_extract() {
  const tg_patch_pair pair{sizeof(pair), in().base.data(), in().few.data(), kEntries, 0, 2, TG_PATCH_OVERWRITE};
  std::vector<uint32_t> positions(static_cast<size_t>(kEntries));
  std::vector<uint16_t> values(static_cast<size_t>(kEntries));
  tg_patch_entries entries{sizeof(entries), positions.data(), values.data(), kEntries, 2, TG_PATCH_OVERWRITE};
  int64_t found = 0;
  in().require(tg_patch_extract(in().context.get(), &pair, &entries, &found));
}

int main() {
  in();
  triplets();
  case_diff_bf16_few();
  case_diff_bf16_many();
  case_diff_f32_bf16();
  case_diff_f32_f32();
  in().diff(in().before, in().changed);  // fills the mask of the cases below
  case_blake3();
  case_sha256();
  case_svd();
  case_mask_smallest();
  case_mask_principal();
  case_magnitude_overlaps();
  case_change_model();
  case_change_model_scales();
  case_rescaling();
  case_patch_extract();
  return 0;
}
