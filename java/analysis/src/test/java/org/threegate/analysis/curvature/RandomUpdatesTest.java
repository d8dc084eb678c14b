package org.threegate.analysis.curvature;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.Finding;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Random updates differ from the mean of random directions by no more than chance gives. */
@ExtendWith(NativeLeaks.class)
class RandomUpdatesTest {
  private static final int SIDE = 24;
  private static final int EACH = 5; // tokens of a sequence
  private static final int LAYERS = 100;

  private final Random random = Seeds.random("randomUpdatesRaiseNoAlarm");

  private void fill(NativeBuffer memory, double[] values) {
    for (int i = 0; i < values.length; i++) {
      memory.putFloat(4L * i, (float) values[i]);
    }
  }

  /** Returns values of which dimension i has the variance 1/i, and half is common to a sequence. */
  private double[] correlated(int sequences) {
    double[] values = new double[sequences * EACH * SIDE];
    double[] common = new double[SIDE];
    for (int token = 0; token < sequences * EACH; token++) {
      if (token % EACH == 0) {
        Arrays.setAll(common, i -> random.nextGaussian());
      }
      for (int i = 0; i < SIDE; i++) {
        values[token * SIDE + i] = (common[i] + random.nextGaussian()) / Math.sqrt(2 * (i + 1));
      }
    }
    return values;
  }

  private double[] update(boolean dense) {
    double[] left = random.doubles(SIDE).map(unused -> random.nextGaussian()).toArray();
    double[] right = random.doubles(SIDE).map(unused -> random.nextGaussian()).toArray();
    double[] update = new double[SIDE * SIDE];
    Arrays.setAll(update, i -> dense ? random.nextGaussian() : left[i / SIDE] * right[i % SIDE]);
    return update;
  }

  @ParameterizedTest
  @CsvSource({"true, 80", "true, 400", "false, 80", "false, 400"})
  void randomUpdatesRaiseNoAlarm(boolean dense, int sequences) {
    int tokens = sequences * EACH;
    long[] ids = new long[tokens];
    Arrays.setAll(ids, i -> i / EACH);
    List<LayerCurvature> layers = new ArrayList<>();
    int alarms = 0;
    int principal = 0;
    int measured = 0;
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer input = context.allocate(4L * tokens * SIDE);
        NativeBuffer gradient = context.allocate(4L * tokens * SIDE);
        NativeBuffer base = context.allocate(4L * SIDE * SIDE);
        NativeBuffer tuned = context.allocate(4L * SIDE * SIDE)) {
      for (int layer = 0; layer < LAYERS; layer++) {
        fill(input, correlated(sequences));
        fill(gradient, correlated(sequences));
        double[] weights = update(true);
        double[] update = update(dense);
        fill(base, weights);
        fill(tuned, plus(weights, update));
        LayerExperiment experiment =
            new LayerExperiment(
                context,
                FisherKind.TRUE,
                new CurvatureOptions(0.2, 0.5, 20, 0, SlopeUnit.TOKEN, 1e-6, layer),
                control);
        LayerCurvature found =
            experiment.measure(
                new Capture.Layer(
                    "model.layers." + layer + ".up_proj",
                    new LayerSamples(
                        Matrix.of(input, Dtype.F32, tokens, SIDE),
                        Matrix.of(gradient, Dtype.F32, tokens, SIDE)),
                    ids),
                "up_proj",
                Operand.of(Matrix.of(base, Dtype.F32, SIDE, SIDE)),
                Operand.of(Matrix.of(tuned, Dtype.F32, SIDE, SIDE)));
        layers.add(found);
        alarms += isAlarm(found, Along.UPDATE, Along.SPECTRUM_MATCHED) ? 1 : 0;
        if (found.compared(Along.PRINCIPAL, Along.RANDOM_SUBSPACE).isPresent()) {
          measured++;
          principal += isAlarm(found, Along.PRINCIPAL, Along.RANDOM_SUBSPACE) ? 1 : 0;
        }
      }
    }
    // Nominal is 5 % of 100; the bound is three standard deviations of a binomial count above it.
    assertThat(alarms).isLessThanOrEqualTo(11);
    assertThat(measured).isGreaterThan(LAYERS / 2);
    assertThat(principal).isLessThanOrEqualTo(11);
    Accounting.Share none = new Accounting.Share(0, 0);
    Accounting.Side side =
        new Accounting.Side(
            List.of(), List.of(), List.of(), List.of(), List.of(), List.of(), List.of(), none,
            none);
    CurvatureStudy study =
        new CurvatureStudy(layers, Map.of(), new Accounting(side, side), List.of(), Set.of());
    assertThat(study.findings()).noneMatch(finding -> finding.verdict().isDecided());
    assertThat(study.findings())
        .extracting(Finding::evidence)
        .allSatisfy(
            evidence ->
                assertThat(evidence.votes().supporting() + evidence.votes().contrary())
                    .isLessThanOrEqualTo(5));
  }

  private static boolean isAlarm(LayerCurvature layer, Along first, Along second) {
    return layer.compared(first, second).orElseThrow().effect().pValue() < 0.05;
  }

  private static double[] plus(double[] base, double[] update) {
    double[] sum = base.clone();
    Arrays.setAll(sum, i -> base[i] + update[i]);
    return sum;
  }
}
