package org.threegate.analysis.consensus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.geometry.GeometryMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.analysis.statistics.Verdict;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;
import org.threegate.testing.SharedData;

@ExtendWith(NativeLeaks.class)
class ConsensusTest {
  private static final String NAME = "model.layers.0.mlp.up_proj.weight";
  private static final int SIZE = 128;

  @TempDir Path directory;

  private Path model(String name, IntToDoubleFunction entry) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(2 * SIZE * SIZE).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < SIZE * SIZE; i++) {
      int bits = Float.floatToRawIntBits((float) entry.applyAsDouble(i));
      bytes.putShort((short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16));
    }
    Path path = directory.resolve(name + ".safetensors");
    new SafetensorsWriter()
        .tensor(NAME, TensorType.BF16, List.of((long) SIZE, (long) SIZE), bytes.array())
        .write(path);
    return path;
  }

  /** Returns the bits of the float to which a value rounds in bf16. */
  private static int bf16(double value) {
    int bits = Float.floatToRawIntBits((float) value);
    return bits + 0x7fff + (bits >>> 16 & 1) & 0xffff0000;
  }

  /**
   * Returns random weights that bf16 represents exactly, as in a checkpoint. Otherwise all runs
   * would share the rounding errors of the weights.
   */
  private static double[] weights(Random random, double sd) {
    return java.util.Arrays.stream(gaussian(random, sd))
        .map(value -> Float.intBitsToFloat(bf16(value)))
        .toArray();
  }

  private static double[] gaussian(Random random, double sd) {
    double[] values = new double[SIZE * SIZE];
    for (int i = 0; i < values.length; i++) {
      values[i] = sd * random.nextGaussian();
    }
    return values;
  }

  private static List<TensorConsensus> consensus(Path base, List<Path> runs) {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Checkpoint before = Checkpoint.open(context, base)) {
      List<Checkpoint> opened = new ArrayList<>();
      try {
        runs.forEach(run -> opened.add(Checkpoint.open(context, run)));
        return Consensus.of(context, before, opened, name -> true, Progress.NONE, control);
      } finally {
        opened.forEach(Checkpoint::close);
      }
    }
  }

  /**
   * Noise changes small weights more easily. Runs therefore agree far more than chance would give,
   * but not more than magnitude explains.
   */
  @Test
  void independentNoiseAgreesByMagnitudeAlone() throws IOException {
    Random random = Seeds.random("independentNoiseAgreesByMagnitudeAlone");
    double[] weights = weights(random, 0.05);
    Path base = model("base", i -> weights[i]);
    List<Path> runs = new ArrayList<>();
    for (int run = 0; run < 3; run++) {
      double[] noise = gaussian(random, 1e-4);
      runs.add(model("run" + run, i -> weights[i] + noise[i]));
    }
    List<TensorConsensus> tensors = consensus(base, runs);
    Agreement agreement = tensors.get(0).agreement();
    assertThat(agreement.jaccard()).isGreaterThan(agreement.bernoulliJaccard() + 0.05);
    assertThat(agreement.magnitudeZ()).isBetween(-5.0, 5.0);
    Finding finding = Consensus.judge(tensors).get(0);
    assertThat(finding.verdict()).as(finding.text()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    // Nothing is judged on a matrix that one side only stores quantized.
    Finding withheld = Consensus.judge(tensors, Set.of(NAME), SmallestEffect.DEFAULT).get(0);
    assertThat(withheld.verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(withheld.text()).endsWith(": 1 of 1 matrices are quantized on one side only.");
    TensorConsensus tensor = tensors.get(0);
    double entries = SIZE * SIZE;
    for (int i = 0; i <= 3; i++) {
      assertThat(tensor.changedByRuns()[i] / entries)
          .isCloseTo(tensor.changedByRunsNull()[i] / entries, within(0.02));
    }
    assertThat(java.util.Arrays.stream(tensor.changedByRuns()).sum()).isEqualTo((long) entries);
    assertThat(Math.abs(tensor.rows().beyondMagnitude())).isLessThan(6 * tensor.rows().nullSd());
  }

  /**
   * Rows of small weights change more easily. Their changes are dispersed if compared with the
   * overall density, but not if compared with the densities by magnitude.
   */
  @Test
  void bandsOfSmallWeightsAreExplainedByMagnitude() throws IOException {
    Random random = Seeds.random("bandsOfSmallWeightsAreExplainedByMagnitude");
    double[] all = weights(random, 0.05);
    double[] weights = new double[all.length];
    for (int i = 0; i < all.length; i++) {
      weights[i] = i / SIZE % 2 == 0 ? all[i] : all[i] / 16;
    }
    double[] noise = gaussian(random, 1e-4);
    Path base = model("base", i -> weights[i]);
    Path tuned = model("tuned", i -> weights[i] + noise[i]);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned)) {
      TensorPair pair = Pairing.of(before, after, name -> true).pairs().get(0).open(context);
      TensorGeometry geometry =
          GeometryMeasurement.of(
              context, NAME, pair.base(), pair.tuned(), GeometryOptions.DEFAULT, control);
      Bf16Diff.Result diff =
          Bf16Diff.compare(
              context,
              new Bf16Diff.Pair(pair.base(), pair.tuned(), Bf16Diff.Profiles.ROWS_AND_COLUMNS),
              control);
      RatioProfile rows = RatioProfile.of(diff.rowChanged().orElseThrow(), SIZE);
      assertThat(rows.dispersionZ()).isGreaterThan(50);
      assertThat(geometry.magnitudeMatchedDispersion().orElseThrow().rowZ()).isBetween(-5.0, 5.0);
      assertThat(geometry.magnitudeMatchedDispersion().orElseThrow().columnZ())
          .isBetween(-5.0, 5.0);
    }
  }

  /** Two runs that change the same entries agree more than rows, columns and magnitudes explain. */
  @Test
  void runsThatShareEntriesAgree() throws IOException {
    Random random = Seeds.random("runsThatShareEntriesAgree");
    double[] weights = weights(random, 0.05);
    Path base = model("base", i -> weights[i]);
    boolean[] shared = new boolean[weights.length];
    for (int i = 0; i < shared.length; i++) {
      shared[i] = random.nextDouble() < 0.3;
    }
    List<Path> runs = new ArrayList<>();
    for (int run = 0; run < 2; run++) {
      double[] noise = gaussian(random, 1e-4);
      runs.add(model("run" + run, i -> weights[i] + (shared[i] ? 3 : 0.3) * noise[i]));
    }
    Finding finding = Consensus.judge(consensus(base, runs)).get(0);
    assertThat(finding.verdict()).as(finding.text()).isEqualTo(Verdict.SUPPORTED);
  }

  /**
   * Two runs that change the same rows form stronger bands than magnitude explains. Their agreement
   * is explained by the rates of rows.
   */
  @Test
  void runsThatShareRowsGetNoVerdict() throws IOException {
    Random random = Seeds.random("runsThatShareRowsGetNoVerdict");
    double[] weights = weights(random, 0.05);
    Path base = model("base", i -> weights[i]);
    List<Path> runs = new ArrayList<>();
    for (int run = 0; run < 2; run++) {
      double[] noise = gaussian(random, 1e-4);
      runs.add(model("run" + run, i -> weights[i] + (i / SIZE % 3 == 0 ? 3 : 0.3) * noise[i]));
    }
    List<TensorConsensus> tensors = consensus(base, runs);
    assertThat(tensors.get(0).agreement().magnitudeZ()).isGreaterThan(10);
    Finding finding = Consensus.judge(tensors).get(0);
    assertThat(finding.verdict().isDecided()).as(finding.text()).isFalse();
    assertThat(tensors.get(0).rows().beyondMagnitude()).isGreaterThan(0.9);
    assertThat(Math.abs(tensors.get(0).columns().beyondMagnitude())).isLessThan(0.6);
    long[] map = tensors.get(0).map().changed();
    assertThat(java.util.Arrays.stream(map).sum())
        .isEqualTo(tensors.get(0).changed()[0] + tensors.get(0).changed()[1]);
  }

  /**
   * The same noise agrees with itself. On a base in another order it agrees only where the
   * magnitudes do.
   */
  @Test
  void agreementIsMeasuredAcrossBases() throws IOException {
    Random random = Seeds.random("agreementIsMeasuredAcrossBases");
    double[] weights = weights(random, 0.05);
    double[] noise = gaussian(random, 1e-4);
    int entries = SIZE * SIZE;
    Path base = model("base", i -> weights[i]);
    Path run = model("run", i -> weights[i] + noise[i]);
    Path other = model("other", i -> weights[entries - 1 - i]);
    Path otherRun = model("other-run", i -> weights[entries - 1 - i] + noise[i]);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Checkpoint one = Checkpoint.open(context, base);
        Checkpoint oneTuned = Checkpoint.open(context, run);
        Checkpoint two = Checkpoint.open(context, other);
        Checkpoint twoTuned = Checkpoint.open(context, otherRun)) {
      Agreement same =
          Consensus.across(context, one, oneTuned, one, oneTuned, name -> true, control).get(NAME);
      assertThat(same.jaccard()).isEqualTo(1);
      assertThat(same.magnitudeZ()).isGreaterThan(20);
      Agreement apart =
          Consensus.across(context, one, oneTuned, two, twoTuned, name -> true, control).get(NAME);
      // Both runs have the same large steps, but at weights of other magnitudes.
      assertThat(apart.jaccard()).isLessThan(0.9);
      Agreement shuffled =
          consensus(base, List.of(run, model("run2", i -> weights[i] + noise[entries - 1 - i])))
              .get(0)
              .agreement();
      Path second = directory.resolve("run2.safetensors");
      try (Checkpoint tuned = Checkpoint.open(context, second)) {
        Agreement again =
            Consensus.across(context, one, oneTuned, one, tuned, name -> true, control).get(NAME);
        assertThat(again.common()).isEqualTo(shuffled.common());
        assertThat(again.expected())
            .isCloseTo(shuffled.expected(), within(0.01 * shuffled.expected()));
        assertThat(again.magnitudeZ())
            .isCloseTo(shuffled.magnitudeZ(), within(1 + 0.5 * Math.abs(shuffled.magnitudeZ())));
      }
    }
  }

  /** Two real runs with different seeds agree more than magnitude explains. */
  @Test
  void realRunsShowWhatTheirDescriptionSays() {
    Path base = SharedData.require("base");
    TensorConsensus first =
        consensus(
                base,
                List.of(SharedData.require("rlvr-add-seed1"), SharedData.require("rlvr-add-seed2")))
            .stream()
            .filter(tensor -> tensor.name().contains("layers.1.self_attn.v_proj"))
            .findFirst()
            .orElseThrow();
    assertThat(first.agreement().magnitudeZ()).isGreaterThan(10);
    assertThat(first.heads()).hasSize(2);
    assertThat(first.heads().get(0).agreement().magnitudeZ()).isGreaterThan(3);
  }

  @Test
  void aStraightWayIsStraight() throws IOException {
    Random random = Seeds.random("aStraightWayIsStraight");
    double[] weights = weights(random, 1);
    double[] direction = gaussian(random, 0.5);
    double[] other = gaussian(random, 0.5);
    Path base = model("base", i -> weights[i]);
    List<Path> straight =
        List.of(
            model("s1", i -> weights[i] + direction[i]),
            model("s2", i -> weights[i] + 2 * direction[i]));
    List<Path> bent =
        List.of(
            model("b1", i -> weights[i] + direction[i]),
            model("b2", i -> weights[i] + direction[i] + other[i]));
    TensorTrajectory way = trajectory(base, straight, 1);
    assertThat(way.linearity()).isGreaterThan(0.999);
    assertThat(way.walkLinearity()).isLessThan(0.8);
    assertThat(way.steps().get(0).locking()).isGreaterThan(0.9);
    assertThat(way.steps().get(1).locking()).isCloseTo(1, within(1e-9));
    TensorTrajectory walk = trajectory(base, bent, 1);
    assertThat(walk.linearity()).isCloseTo(walk.walkLinearity(), within(0.02));
    double locking = walk.steps().get(0).locking();
    assertThat(walk.steps().get(0).lockingNulls().get(1).z(locking)).isBetween(-6.0, 6.0);
    assertThat(locking).isGreaterThan(walk.steps().get(0).lockingNulls().get(0).mean() + 0.1);
    TensorTrajectory.Step again = trajectory(base, bent, 2).steps().get(0);
    assertThat(again.locking()).as("with two threads").isEqualTo(locking);
    assertThat(again.lockingNulls()).isEqualTo(walk.steps().get(0).lockingNulls());
    assertThat(again.geometry().spectra().get(0).geometry().tuned())
        .isEqualTo(walk.steps().get(0).geometry().spectra().get(0).geometry().tuned());
    assertThatThrownBy(() -> new Trajectory(new double[] {2, 1}, GeometryOptions.DEFAULT))
        .hasMessageContaining("ascend");
  }

  private static TensorTrajectory trajectory(Path base, List<Path> run, int threads) {
    try (Context context = Context.open(Context.Device.CPU, threads);
        Control control = Control.open(context);
        Checkpoint before = Checkpoint.open(context, base);
        Checkpoint one = Checkpoint.open(context, run.get(0));
        Checkpoint two = Checkpoint.open(context, run.get(1))) {
      return new Trajectory(new double[] {1, 2}, GeometryOptions.DEFAULT)
          .of(context, before, List.of(one, two), name -> true, Progress.NONE, control)
          .get(0);
    }
  }
}
