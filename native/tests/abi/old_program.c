/* Calls a function of each family. check_old_programs compiles it against headers of earlier versions. */
#include <stdio.h>
#include <string.h>
#include <threegate/threegate.h>

#define REQUIRE(condition)                        \
  if (!(condition)) {                             \
    return printf("failed: %s\n", #condition), 1; \
  }

enum { kRows = 2, kColumns = 3, kCount = kRows * kColumns };

static tg_status with_workspace(const tg_workspace_size* need, tg_workspace* workspace) {
  workspace->size = sizeof *workspace;
  workspace->host_bytes = need->host_bytes;
  return tg_memory_allocate(need->host_bytes, &workspace->host);
}

int main(void) {
  REQUIRE(tg_abi_version() >= TG_ABI_VERSION);

  /* The library must not write beyond the struct that this program knows. */
  struct {
    tg_capabilities capabilities;
    unsigned char beyond[4096];
  } machine;
  memset(&machine, 0xa5, sizeof machine);
  machine.capabilities.size = sizeof machine.capabilities;
  REQUIRE(tg_capabilities_query(&machine.capabilities) == TG_OK);
  REQUIRE(machine.capabilities.size == sizeof machine.capabilities);
  REQUIRE(machine.capabilities.hardware_threads > 0 && strlen(machine.capabilities.blas) > 0);
  for (size_t i = 0; i < sizeof machine.beyond; ++i) {
    REQUIRE(machine.beyond[i] == 0xa5);
  }

  tg_context_options settings = {.size = sizeof settings, .threads = 1};
  tg_context* context = NULL;
  REQUIRE(tg_context_create(&settings, &context, NULL, 0) == TG_OK);

  /* bf16 */
  uint16_t w0[kCount] = {0x3f80, 0x3f80, 0x3f80, 0x4000, 0x4000, 0x4000};
  uint16_t w1[kCount] = {0x3f80, 0x3f81, 0x3f80, 0x4000, 0xc000, 0x4000};
  tg_operand base = {.size = sizeof base, .values = {w0, kRows, kColumns, kColumns, TG_BF16, 0}};
  tg_operand tuned = {.size = sizeof tuned, .values = {w1, kRows, kColumns, kColumns, TG_BF16, 0}};
  tg_workspace_size need = {.size = sizeof need};
  tg_workspace workspace;

  tg_diff_options diff = {.size = sizeof diff};
  tg_diff_result counts = {.size = sizeof counts};
  REQUIRE(tg_diff_workspace(context, &base, &tuned, 1, &diff, NULL, &need) == TG_OK);
  REQUIRE(with_workspace(&need, &workspace) == TG_OK);
  REQUIRE(tg_diff(context, &base, &tuned, 1, &diff, NULL, &workspace, NULL, &counts) == TG_OK);
  REQUIRE(counts.total == kCount && counts.changed == 2 && counts.sign_flips == 1);
  REQUIRE(tg_memory_free(workspace.host) == TG_OK);

  double values[1];
  double left[kRows];
  double right[kColumns];
  tg_svd_options svd = {.size = sizeof svd, .rank = 1, .tolerance = 1e-4, .vectors = 1};
  tg_svd_result triplets = {.size = sizeof triplets, .values = values, .left = left, .right = right};
  REQUIRE(tg_svd_workspace(context, &base, NULL, 1, &svd, &triplets, &need) == TG_OK);
  REQUIRE(with_workspace(&need, &workspace) == TG_OK);
  REQUIRE(tg_svd(context, &base, NULL, 1, &svd, NULL, &workspace, &triplets) == TG_OK);
  REQUIRE(values[0] * values[0] > 14.999 && values[0] * values[0] < 15.001);
  REQUIRE(tg_memory_free(workspace.host) == TG_OK);

  /* Elements of an array are as long as this program knows them. Both starts are the rows of the identity. */
  double spectrum[kRows] = {4, 1};
  double basis[kRows * kRows] = {1, 0, 0, 1};
  tg_svd_start start = {.size = sizeof start, .values = spectrum, .basis = {basis, kRows, kRows, kRows, TG_F64, 0}};
  tg_operand matrices[2] = {base, base};
  tg_svd_options both[2] = {svd, svd};
  tg_svd_result results[2] = {triplets, triplets};
  tg_svd_start starts[2] = {start, start};
  double more[1 + kRows + kColumns];
  results[1].values = more;
  results[1].left = more + 1;
  results[1].right = more + 1 + kRows;
  REQUIRE(tg_svd_track_workspace(context, matrices, NULL, 2, both, starts, results, &need) == TG_OK);
  REQUIRE(with_workspace(&need, &workspace) == TG_OK);
  REQUIRE(tg_svd_track(context, matrices, NULL, 2, both, starts, NULL, &workspace, results) == TG_OK);
  REQUIRE(more[0] == values[0] && values[0] * values[0] > 14.999 && values[0] * values[0] < 15.001);
  REQUIRE(tg_memory_free(workspace.host) == TG_OK);

  uint64_t mask[kRows];
  tg_mask_scores scores = {.size = sizeof scores, .matrix = &base};
  tg_mask_options selection = {.size = sizeof selection, .count = 3};
  REQUIRE(tg_mask_select_workspace(context, &scores, &selection, &need) == TG_OK);
  REQUIRE(with_workspace(&need, &workspace) == TG_OK);
  REQUIRE(tg_mask_select(context, &scores, &selection, NULL, &workspace, mask, kRows) == TG_OK);
  REQUIRE(mask[0] == 0 && mask[1] == 7);
  REQUIRE(tg_memory_free(workspace.host) == TG_OK);

  uint32_t positions[kCount];
  uint16_t bits[kCount];
  int64_t changed = 0;
  tg_patch_pair pair = {.size = sizeof pair, .before = w0, .after = w1, .count = kCount, .width = 2, .form = TG_PATCH_OVERWRITE};
  tg_patch_entries entries = {sizeof entries, positions, bits, kCount, 2, TG_PATCH_OVERWRITE};
  REQUIRE(tg_patch_extract(context, &pair, &entries, &changed) == TG_OK);
  REQUIRE(changed == 2 && positions[0] == 1 && positions[1] == 4);
  entries.count = changed;
  REQUIRE(tg_patch_apply(context, &entries, w0, kCount) == TG_OK);
  REQUIRE(memcmp(w0, w1, sizeof w0) == 0);

  /* A size that no version had is still refused, with a reason. */
  char reason[128] = "";
  diff.size += 4;
  REQUIRE(tg_diff(context, &base, &tuned, 1, &diff, NULL, &workspace, NULL, &counts) == TG_INVALID_ARGUMENT);
  REQUIRE(tg_error_message(context, reason, sizeof reason) == TG_OK && strstr(reason, "size") != NULL);

  REQUIRE(tg_context_destroy(context) == TG_OK);
  return printf("a program of version %d runs with the library of version %d\n", TG_ABI_VERSION, tg_abi_version()) < 0;
}
