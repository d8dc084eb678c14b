package org.threegate.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import blue.strategic.parquet.Hydrator;
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
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Banding;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.Overlap;
import org.threegate.analysis.geometry.RescalingMeasure;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.geometry.TrivialCause;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.Against;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.Energy;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Judge;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.RescalingShare;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.analysis.statistics.Totals;
import org.threegate.checkpoint.Identity;

@Tag("binding")
class ReportDirectoryTest {
  @TempDir Path directory;

  static ComparisonReport report() {
    TensorDiff matrix =
        new TensorDiff(
            "model.layers.3.self_attn.q_proj.weight",
            OptionalInt.of(3),
            "q_proj",
            new TensorDiff.Stored("BF16", "F32", List.of(2L, 3L), false),
            new Totals(
                new Totals.Counts(6, 2, 2, 4, 2, 0, 1), new Totals.Sums(4.0, 1.0, 0.5, 0.75)),
            new long[] {2, 1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
            new TensorDiff.Places(
                Optional.of(new long[] {2, 0}),
                Optional.of(new long[] {1, 0, 1}),
                List.of(new HeadCount("q", 0, 2, 6)),
                Optional.of(new ChangeMap(2, 3, new long[] {1, 0, 1, 0, 0, 0}))),
            0.1);
    TensorDiff vector =
        new TensorDiff(
            "norm",
            OptionalInt.empty(),
            "norm",
            new TensorDiff.Stored("F32", "F32", List.of(5L), false),
            new Totals(new Totals.Counts(5, 0, 0, 0, 0, 5, 0), new Totals.Sums(0, 0, 0, 0)),
            new long[15],
            TensorDiff.Places.NONE,
            0);
    return new ComparisonReport(
        new ComparisonReport.Run(
            "0.0.0",
            List.of("compare", "a", "b"),
            new ComparisonReport.Backend("cpu", "jni", 1, "scalar", "OpenBLAS"),
            1,
            new ComparisonReport.Seconds(1, 2, 3),
            5),
        new ComparisonReport.Source(
            "a",
            new Identity(
                Optional.of("00"),
                Optional.empty(),
                List.of(new Identity.FileDigest("a.safetensors", 64, "11"))),
            2,
            11),
        new ComparisonReport.Source(
            "b", new Identity(Optional.empty(), Optional.of("22"), List.of()), 2, 11),
        new ComparisonReport.Unmatched(List.of("x"), List.of(), List.of(), List.of(), List.of()),
        coverage(),
        List.of(matrix, vector),
        Map.of("model.layers.3.self_attn.q_proj.weight", geometry()),
        List.of(finding()));
  }

  private static ComparisonReport.Coverage coverage() {
    Accounting.Side side =
        new Accounting.Side(
            List.of("norm"),
            List.of(new Accounting.Note("x", "the tuned checkpoint has no such weight")),
            List.of(),
            List.of(),
            List.of(),
            List.of(),
            List.of(),
            new Accounting.Share(1, 2),
            new Accounting.Share(5, 11));
    return ComparisonReport.Coverage.of(new Accounting(side, side), List.of(), 0);
  }

  static TensorGeometry geometry() {
    Geometry measured =
        new Geometry(
            1,
            new Geometry.SingularValues(
                new double[] {3, 1}, new double[] {3.5, 1}, new double[] {0.5, 0.25}, false),
            new Geometry.Angles(new double[] {1e-3}, new double[] {2e-3}),
            new Energy(4, 2, 1, 1),
            new Geometry.Certificate(1e-9, 2e-9, true));
    double[] draws = {0.1, 0.2};
    double[][] band = {{1e-4}, {1e-5}};
    NullDraws matched =
        new NullDraws(
            NullModel.NORM_MATCHED,
            draws,
            draws,
            new NullDraws.Angles(draws, draws, band, band),
            new NullDraws.EnergyShares(draws, draws, draws));
    Overlap overlap =
        new Overlap(
            3,
            0.5,
            2,
            0.25,
            0.4,
            0.1,
            -1.5,
            Optional.of(new Overlap.Conditional(0.375, -0.25, 0.5, 0.25)));
    MaskMeasure masks =
        new MaskMeasure(
            0.5,
            1,
            overlap,
            overlap,
            overlap,
            overlap,
            overlap,
            new ChangeMap(2, 3, new long[] {1, 0, 1, 0, 0, 0}));
    SpectrumMeasure spectrum =
        new SpectrumMeasure(
            measured, List.of(matched), 2, 3, NullEstimate.analytic("sign-flipped", 0.25, 0.125));
    RescalingShare share = new RescalingShare(0.25, 0.125, 0.0625);
    return new TensorGeometry(
        Optional.empty(),
        new TensorGeometry.Causes(
            Optional.of(TrivialCause.RESCALING),
            Optional.of(new RescalingMeasure(-0.5, 0.25, share, share, share, 0.25)),
            List.of(spectrum)),
        List.of(spectrum, spectrum),
        List.of(masks, masks),
        Optional.of(new Banding(1.5, 2.5)),
        Optional.of(
            new TensorGeometry.SparsityNulls(
                NullEstimate.analytic("norm-matched", 0.5, 0.1),
                NullEstimate.analytic("permuted-update", 0.75, 0.1))),
        1,
        2,
        3);
  }

  private static Finding finding() {
    return Judge.findings(
            List.of(
                new Claim(
                    "a-claim",
                    "The claim </script>",
                    new Claim.Measure("measure", "rank 1", SmallestEffect.Scale.RATIO),
                    1,
                    List.of(
                        new Claim.Test(
                            "w",
                            new Claim.Place("q_proj", "layers.0"),
                            5,
                            Optional.empty(),
                            List.of(Against.ofRatio(5, NullEstimate.analytic("n", 1, 0.5))),
                            1)),
                    "")))
        .get(0);
  }

  @Test
  void geometriesStandBesideTheirNulls() throws IOException {
    Path out = directory.resolve("geometry");
    ReportDirectory.write(report(), out);
    JsonNode root = new ObjectMapper().readTree(out.resolve(ReportDirectory.JSON).toFile());
    JsonNode tensor = root.path("tensors").path(0);
    JsonNode spectrum = tensor.path("spectrum");
    assertThat(names(spectrum))
        .contains(
            "rank",
            "method",
            "nss",
            "nssNull",
            "rSpec",
            "rSpecNull",
            "angleU",
            "angleV",
            "angleNull",
            "gap",
            "deltaSpectralNorm",
            "gapLimited",
            "kyFanBase",
            "kyFanTuned",
            "residualBase",
            "residualTuned",
            "principalEnergy",
            "principalEnergyNull",
            "leftEnergy",
            "rightEnergy",
            "stableRank",
            "effectiveRank",
            "sigmaBase",
            "sigmaTuned");
    assertThat(spectrum.path("nss").asDouble()).isEqualTo(0.5 / Math.sqrt(10));
    assertThat(spectrum.path("nssNull").path("mean").asDouble()).isCloseTo(0.15, within(1e-15));
    assertThat(spectrum.path("nulls").path("isotropic").path("principalEnergy").path("mean"))
        .isEqualTo(new ObjectMapper().readTree("0.16666666666666666"));
    assertThat(names(tensor.path("masks")))
        .containsExactly(
            "alpha", "rank", "principal", "principalComplement", "low", "principalNotLow", "safe");
    assertThat(names(tensor.path("masks").path("safe")))
        .contains(
            "size", "density", "overlap", "densityBaseline", "magnitudeBaseline", "magnitudeZ");
    assertThat(tensor.path("magnitudeMatchedDispersion").path("rowZ").asDouble()).isEqualTo(1.5);
    assertThat(tensor.path("spectrumByRank")).hasSize(2);
    assertThat(root.path("tensors").path(1).path("spectrum").isNull()).isTrue();
    JsonNode finding = root.path("summary").path("findings").path(0);
    assertThat(finding.path("verdict").asText()).isEqualTo("supported");
    assertThat(root.path("summary").path("nss").path("max").asDouble())
        .isEqualTo(0.5 / Math.sqrt(10));
    // The gap of 2 is larger than the norm of the update, 0.5, so the angle is reported.
    assertThat(root.path("summary").path("angleMaxDegrees").path("max").asDouble())
        .isCloseTo(Math.toDegrees(2e-3), within(1e-12));
    assertThat(TerminalReport.render(report()))
        .contains(
            "[supported] The claim </script>: measure is 5.000, the closest null model (n) gives 1.000")
        .contains("spectral drift NSS: median 1.581e-01, largest 1.581e-01 over 1 matrices");
    String page = Files.readString(out.resolve(ReportDirectory.HTML));
    assertThat(page.contains("The claim </script>")).isFalse();
    assertThat(page.contains("The claim \\u003c/script\\u003e")).isTrue();
    assertThat(page.contains("\"principalMap\":{")).isTrue();
    assertThat(page.contains("\"curves\":{")).isTrue();
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
        .containsExactlyInAnyOrder("read", "diff", "spectrum", "nulls", "masks", "total");
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
            new MapHydrator(),
            column -> String.join(".", column))) {
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
      implements Hydrator<Map<String, Object>, Map<String, Object>, String> {
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
