package org.threegate.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import blue.strategic.parquet.HydratorSupplier;
import blue.strategic.parquet.ParquetReader;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.measure.ChangeMap;
import org.threegate.analysis.measure.HeadCount;
import org.threegate.analysis.measure.TensorDiff;
import org.threegate.analysis.statistics.Totals;

class ReportDirectoryTest {
  @TempDir Path directory;

  private static ComparisonReport report() {
    TensorDiff matrix =
        new TensorDiff(
            "model.layers.3.self_attn.q_proj.weight",
            OptionalInt.of(3),
            "q_proj",
            "BF16",
            "F32",
            List.of(2L, 3L),
            false,
            new Totals(6, 2, 2, 4, 2, 0, 1, 4.0, 1.0, 0.5, 0.75),
            new long[] {2, 1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
            Optional.of(new long[] {2, 0}),
            Optional.of(new long[] {1, 0, 1}),
            List.of(new HeadCount("q", 0, 2, 6)),
            Optional.of(new ChangeMap(2, 3, new long[] {1, 0, 1, 0, 0, 0})),
            0.1);
    TensorDiff vector =
        new TensorDiff(
            "norm",
            OptionalInt.empty(),
            "norm",
            "F32",
            "F32",
            List.of(5L),
            false,
            new Totals(5, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0),
            new long[15],
            Optional.empty(),
            Optional.empty(),
            List.of(),
            Optional.empty(),
            0);
    return new ComparisonReport(
        "0.0.0",
        List.of("compare", "a", "b"),
        new ComparisonReport.Backend("cpu", "jni", 1, "scalar", "OpenBLAS"),
        new ComparisonReport.Source("a", Optional.of("00"), 2, 11),
        new ComparisonReport.Source("b", Optional.empty(), 2, 11),
        1,
        new ComparisonReport.Seconds(1, 2, 3),
        5,
        new ComparisonReport.Unmatched(List.of("x"), List.of(), List.of(), List.of(), List.of()),
        List.of(matrix, vector));
  }

  @Test
  void theJsonHasEveryFieldOfTheContract() throws IOException {
    Path out = directory.resolve("out");
    ReportDirectory.write(report(), out);
    JsonNode root = new ObjectMapper().readTree(out.resolve(ReportDirectory.JSON).toFile());
    assertThat(names(root))
        .contains(
            "schema",
            "threegate",
            "command",
            "backend",
            "base",
            "tuned",
            "seed",
            "elapsedSeconds",
            "peakRssBytes",
            "unmatched",
            "summary",
            "tensors");
    assertThat(names(root.path("backend"))).contains("device", "binding", "threads", "blas");
    assertThat(names(root.path("elapsedSeconds")))
        .containsExactlyInAnyOrder("read", "diff", "spectrum", "masks", "total");
    assertThat(names(root.path("summary")))
        .contains(
            "total",
            "changed",
            "sparsity",
            "changedStored",
            "hidden",
            "relativeFrobenius",
            "nss",
            "angleMaxDegrees",
            "findings");
    JsonNode tensor = root.path("tensors").path(0);
    assertThat(names(tensor))
        .contains(
            "name",
            "layer",
            "kind",
            "dtypeBase",
            "dtypeTuned",
            "shape",
            "diff",
            "spectrum",
            "masks");
    JsonNode diff = tensor.path("diff");
    assertThat(names(diff))
        .contains(
            "total",
            "changed",
            "changedBits",
            "changedStored",
            "hidden",
            "nonFinite",
            "sparsity",
            "frobenius",
            "relativeFrobenius",
            "maxAbs",
            "signFlips",
            "cosine",
            "ulpHistogram",
            "rowRatio",
            "columnRatio",
            "perHead");
    assertThat(diff.path("relativeFrobenius").asDouble()).isEqualTo(0.5);
    assertThat(diff.path("cosine").asDouble()).isEqualTo(0.25);
    assertThat(diff.path("perHead").path(0).path("changed").asInt()).isEqualTo(2);
    assertThat(root.path("tensors").path(1).path("diff").path("cosine").isNull()).isTrue();
    assertThat(root.path("tensors").path(1).path("layer").isNull()).isTrue();
  }

  private static List<String> names(JsonNode node) {
    return node.properties().stream().map(Map.Entry::getKey).toList();
  }

  @Test
  void theParquetFileIsReadByAParquetReader() throws IOException {
    Path out = directory.resolve("out");
    ReportDirectory.write(report(), out);
    try (Stream<Map<String, Object>> rows =
        ParquetReader.streamContent(
            out.resolve(ReportDirectory.PARQUET).toFile(),
            HydratorSupplier.constantly(new MapHydrator()))) {
      List<Map<String, Object>> read = rows.toList();
      assertThat(read).hasSize(2);
      assertThat(read.get(0))
          .containsEntry("name", "model.layers.3.self_attn.q_proj.weight")
          .containsEntry("layer", 3L)
          .containsEntry("hidden", 2L);
      assertThat(read.get(0)).containsEntry("sparsity", 1 - 2 / 6.0);
      assertThat(read.get(1))
          .doesNotContainKey("layer")
          .doesNotContainKey("cosine")
          .doesNotContainKey("rowRatioMean");
    }
  }

  private static final class MapHydrator
      implements blue.strategic.parquet.Hydrator<Map<String, Object>, Map<String, Object>> {
    @Override
    public Map<String, Object> start() {
      return new java.util.HashMap<>();
    }

    @Override
    public Map<String, Object> add(Map<String, Object> target, String heading, Object value) {
      if (value != null) {
        target.put(heading, value);
      }
      return target;
    }

    @Override
    public Map<String, Object> finish(Map<String, Object> target) {
      return target;
    }
  }

  @Test
  void aFailureLeavesTheTargetAsItWas() throws IOException {
    Path out = Files.createDirectory(directory.resolve("out"));
    Files.createDirectory(
        out.resolve(ReportDirectory.ARRAYS)); // a directory cannot be replaced by a file
    Files.createFile(out.resolve(ReportDirectory.ARRAYS).resolve("x"));
    assertThatThrownBy(() -> ReportDirectory.write(report(), out)).isInstanceOf(IOException.class);
    assertThat(out.resolve(ReportDirectory.JSON)).doesNotExist();
    try (Stream<Path> left = Files.list(directory)) {
      assertThat(left).containsExactly(out);
    }
  }

  @Test
  void theTerminalSummaryStandsOnItsOwn() {
    assertThat(TerminalReport.render(report()))
        .contains("2 of 11 entries in 2 tensors changed in bf16")
        .contains("4 changed as stored, 2 of them hidden by bf16 (50.0 %)")
        .contains("5 entries are not finite")
        .contains("only in base: x")
        .contains("q_proj");
  }
}
