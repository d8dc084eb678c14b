// The kernels of null models on bf16 matrices of the shapes of language models, with noise as their update. The ranks of the
// energy are 16, 64 and a tenth of the short side. Prints: rows, columns, threads, name, seconds (the best of three).
//
//   threegate_bench_nulls THREADS
#include <string>

#include "support.h"

namespace {

std::vector<double> basis(int64_t rank, int64_t length, std::mt19937_64& random) {
  std::normal_distribution<double> normal(0, 1 / std::sqrt(static_cast<double>(length)));
  std::vector<double> rows(static_cast<size_t>(rank * length));
  for (double& entry : rows) {
    entry = normal(random);
  }
  return rows;
}

// Ranges of magnitudes with at least 64 entries each.
std::vector<int32_t> bins_of(const std::vector<uint16_t>& codes) {
  std::vector<int64_t> counts(TG_MAGNITUDE_CODES, 0);
  for (const uint16_t code : codes) {
    ++counts[code & 0x7fffU];
  }
  std::vector<int32_t> bins;
  int32_t bin = 0;
  int64_t held = 0;
  auto left = static_cast<int64_t>(codes.size());
  for (const int64_t count : counts) {
    bins.push_back(bin);
    held += count;
    left -= count;
    if (held >= 64 && left >= 64) {
      ++bin;
      held = 0;
    }
  }
  return bins;
}

class Bench {
 public:
  Bench(const bench::Shape& shape, int32_t threads) : shape_(shape), threads_(threads) {
    const tg_context_options options{sizeof(options), threads, TG_CPU, 0, 0};
    tg_context* context = nullptr;
    char error[256] = "";
    if (tg_context_create(&options, &context, error, sizeof(error)) != TG_OK) {
      bench::fail(error);
    }
    context_.reset(context);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < shape.rows * shape.columns; ++i) {
      base_.push_back(bench::to_bf16(0.02F * normal(random_)));
      tuned_.push_back(bench::to_bf16(bench::from_bf16(base_.back()) + 2e-5F * normal(random_)));
    }
    before_ = bench::operand(base_, shape);
    after_ = bench::operand(tuned_, shape);
  }

  void run() {
    changes();
    rescaling();
    energies();
  }

 private:
  [[nodiscard]] size_t words() const { return static_cast<size_t>(shape_.rows * ((shape_.columns + 63) / 64)); }

  template <typename Body>
  void measure(const std::string& name, Body body) {
    const double best = bench::seconds(3, [&] { bench::require(context_.get(), body()); });
    std::printf("%ld\t%ld\t%d\t%s\t%.4f\n", static_cast<long>(shape_.rows), static_cast<long>(shape_.columns),
                static_cast<int>(threads_), name.c_str(), best);
  }

  // Runs a workspace query and allocates what it asks for.
  template <typename Query>
  tg_workspace workspace(Query query) {
    tg_workspace_size size{sizeof(size), 0, 0};
    bench::require(context_.get(), query(&size));
    host_ = bench::allocate(size.host_bytes);
    return {sizeof(tg_workspace), host_.get(), size.host_bytes, nullptr, 0};
  }

  void rescaling() {
    const tg_rescaling_options options{sizeof(options), 1e-8, 500};
    rows_.resize(static_cast<size_t>(shape_.rows));
    columns_.resize(static_cast<size_t>(shape_.columns));
    result_.size = sizeof(result_);
    result_.row_factors = rows_.data();
    result_.column_factors = columns_.data();
    const tg_workspace work = workspace(
        [&](tg_workspace_size* size) { return tg_rescaling_fit_workspace(context_.get(), &before_, &after_, &options, size); });
    measure("rescaling", [&] { return tg_rescaling_fit(context_.get(), &before_, &after_, &options, &work, &result_); });
    tg_dtype_change_result counts{};
    counts.size = sizeof(counts);
    measure("dtype change", [&] { return tg_dtype_change(context_.get(), &before_, &after_, TG_BF16, &counts); });
  }

  void energies() {
    const int64_t most = std::min(shape_.rows, shape_.columns) / 10;
    const std::vector<double> left = basis(most, shape_.rows, random_);
    const std::vector<double> right = basis(most, shape_.columns, random_);
    const tg_matrix of_left{left.data(), most, shape_.rows, shape_.rows, TG_F64, 0};
    const tg_matrix of_right{right.data(), most, shape_.columns, shape_.columns, TG_F64, 0};
    const tg_residual residual{sizeof(residual), &before_, &after_, result_.common, rows_.data(), columns_.data()};
    for (const int64_t rank : {int64_t{16}, int64_t{64}, most}) {
      tg_sign_flip_moments moments{};
      const tg_sign_flip_energy_options until{sizeof(until), &rank, 1, 0.02, 0};
      const tg_workspace work = workspace([&](tg_workspace_size* size) {
        return tg_sign_flip_energy_workspace(context_.get(), &residual, &of_left, &of_right, &until, size);
      });
      measure("energy of rank " + std::to_string(rank),
              [&] { return tg_sign_flip_energy(context_.get(), &residual, &of_left, &of_right, &until, &work, &moments); });
    }
    const tg_sign_flip_options options{sizeof(options), 1, 0, TG_BF16, 1};
    std::vector<uint16_t> flipped(base_.size());
    measure("sign flip", [&] { return tg_sign_flip(context_.get(), &residual, &options, flipped.data()); });
    tg_svd_result triplets{};
    std::vector<double> values(static_cast<size_t>(most));
    std::vector<double> u(left.size());
    std::vector<double> v(right.size());
    std::vector<double> spectrum(static_cast<size_t>(std::min(shape_.rows, shape_.columns)));
    triplets = {sizeof(triplets), values.data(), u.data(), v.data(), spectrum.data(), 0, 0, 0, 0, 0};
    const tg_svd_options svd{sizeof(svd), most, 1e-6, 1, 0};
    const tg_workspace work = workspace(
        [&](tg_workspace_size* size) { return tg_svd_workspace(context_.get(), &after_, nullptr, 1, &svd, &triplets, size); });
    measure("spectrum and a tenth of the triplets",
            [&] { return tg_svd(context_.get(), &after_, nullptr, 1, &svd, nullptr, &work, &triplets); });
  }

  void changes() {
    std::vector<uint64_t> changed(words());
    tg_diff_profiles profiles{};
    profiles.size = sizeof(profiles);
    profiles.mask = changed.data();
    profiles.mask_words = static_cast<int64_t>(changed.size());
    const tg_diff_options options{sizeof(options)};
    tg_diff_result diff{};
    diff.size = sizeof(diff);
    const tg_workspace of_diff = workspace([&](tg_workspace_size* size) {
      return tg_diff_workspace(context_.get(), &before_, &after_, 1, &options, &profiles, size);
    });
    measure("diff", [&] { return tg_diff(context_.get(), &before_, &after_, 1, &options, nullptr, &of_diff, &profiles, &diff); });
    const std::vector<int32_t> bins = bins_of(base_);
    const tg_change_model model{sizeof(model), &before_, changed.data(), bins.data(), bins.back() + 1, nullptr};
    std::vector<double> rows(static_cast<size_t>(shape_.rows));
    std::vector<double> columns(static_cast<size_t>(shape_.columns));
    std::vector<double> of_bins(static_cast<size_t>(model.bin_count));
    tg_change_logits logits{sizeof(logits), rows.data(), columns.data(), of_bins.data(), 0, 0, 0, 0, 0};
    const tg_workspace work =
        workspace([&](tg_workspace_size* size) { return tg_change_workspace(context_.get(), &model, size); });
    const tg_change_options until{sizeof(until), 1e-4, 100};
    measure("change model", [&] { return tg_change_fit(context_.get(), &model, &until, &work, &logits); });
    std::vector<uint64_t> set(changed.size(), 0x5555555555555555U);
    for (size_t i = 0; shape_.columns % 64 != 0 && i < set.size(); i += static_cast<size_t>((shape_.columns + 63) / 64)) {
      set[i + static_cast<size_t>(shape_.columns / 64)] &= (uint64_t{1} << (shape_.columns % 64)) - 1;
    }
    const uint64_t* sets[] = {set.data()};
    tg_change_score_result score{};
    measure("score of one set", [&] { return tg_change_score(context_.get(), &model, &logits, sets, 1, &work, &score); });
  }

  bench::Shape shape_;
  int32_t threads_;
  bench::Context context_;
  bench::Memory host_;
  std::mt19937_64 random_{1};
  std::vector<uint16_t> base_;
  std::vector<uint16_t> tuned_;
  tg_operand before_{};
  tg_operand after_{};
  tg_rescaling result_{};
  std::vector<double> rows_;
  std::vector<double> columns_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: threegate_bench_nulls THREADS\n");
    return 2;
  }
  for (const bench::Shape& shape : {bench::Shape{1024, 1024}, bench::Shape{4096, 1024}, bench::Shape{1536, 8960}}) {
    Bench(shape, std::atoi(arguments[1])).run();
  }
}
