package org.threegate.analysis.curvature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.PairedComparison;
import org.threegate.analysis.statistics.Verdict;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

@ExtendWith(NativeLeaks.class)
class CurvatureStudyTest {
  private static final String LAYER = "model.layers.0.mlp.up_proj";
  private static final String OTHER = "model.layers.0.mlp.gate_proj";
  private static final int OUTPUTS = 20;
  private static final int INPUTS = 16;
  private static final int SEQUENCES = 60;
  private static final int EACH = 5;
  private static final int TOKENS = SEQUENCES * EACH;
  private static final CurvatureOptions OPTIONS =
      new CurvatureOptions(0.2, 0.5, 24, 8, SlopeUnit.TOKEN, 1e-9, 3);
  private static final double ROUNDING = 1e-5; // relative error of float32 products

  @TempDir Path directory;
  private Context context;
  private Control control;

  @BeforeEach
  void open() {
    context = Context.open();
    control = Control.open(context);
  }

  @AfterEach
  void close() {
    control.close();
    context.close();
  }

  private static byte[] floats(double[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    Arrays.stream(values).forEach(value -> bytes.putFloat((float) value));
    return bytes.array();
  }

  private static byte[] longs(long[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    Arrays.stream(values).forEach(bytes::putLong);
    return bytes.array();
  }

  private static double[] gaussian(Random random, int count) {
    return random.doubles(count).map(unused -> (float) random.nextGaussian()).toArray();
  }

  /** Returns values of which only the first three dimensions are large. */
  private static double[] anisotropic(Random random, int width) {
    double[] values = new double[TOKENS * width];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * (i % width < 3 ? 1 : 0.05));
    }
    return values;
  }

  private static long[] sequences() {
    long[] ids = new long[TOKENS];
    Arrays.setAll(ids, i -> i / EACH);
    return ids;
  }

  /** Returns a base whose singular vectors are the axes, in order. */
  private static double[] base() {
    double[] entries = new double[OUTPUTS * INPUTS];
    for (int i = 0; i < INPUTS; i++) {
      entries[i * INPUTS + i] = 20 - i;
    }
    return entries;
  }

  private static double[] plus(double[] base, double[] update) {
    double[] sum = base.clone();
    for (int i = 0; i < sum.length; i++) {
      sum[i] = (float) (sum[i] + update[i]);
    }
    return sum;
  }

  private Path model(String name, double[] layer, double[] other) throws IOException {
    Path path = directory.resolve(name + ".safetensors");
    List<Long> shape = List.of((long) OUTPUTS, (long) INPUTS);
    new SafetensorsWriter()
        .tensor(LAYER + ".weight", TensorType.F32, shape, floats(layer))
        .tensor(OTHER + ".weight", TensorType.F32, shape, floats(other))
        .write(path);
    return path;
  }

  private static SafetensorsWriter layer(
      SafetensorsWriter writer, String name, double[] input, double[] gradient, long[] sequences) {
    long tokens = sequences.length;
    return writer
        .tensor(name + ".input", TensorType.F32, List.of(tokens, (long) INPUTS), floats(input))
        .tensor(
            name + ".grad_output",
            TensorType.F32,
            List.of(tokens, (long) OUTPUTS),
            floats(gradient))
        .tensor(name + ".sequence", TensorType.I64, List.of(tokens), longs(sequences));
  }

  private Path write(SafetensorsWriter writer) throws IOException {
    Path path = directory.resolve("capture.safetensors");
    writer.write(path);
    return path;
  }

  /** Writes a capture of two layers with the same inputs and gradients. */
  private Path both(double[] input, double[] gradient) throws IOException {
    SafetensorsWriter one = layer(writer(), LAYER, input, gradient, sequences());
    return write(layer(one, OTHER, input, gradient, sequences()));
  }

  private static SafetensorsWriter writer() {
    return new SafetensorsWriter().metadata("fisher", "true");
  }

  private CurvatureStudy study(Path capture, Path base, Path tuned) throws IOException {
    return study(capture, base, tuned, OPTIONS, false, Progress.NONE);
  }

  private CurvatureStudy study(
      Path capture,
      Path base,
      Path tuned,
      CurvatureOptions options,
      boolean resume,
      Progress progress)
      throws IOException {
    try (Capture samples = Capture.open(context, capture);
        Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned);
        Journal<LayerCurvature> journal =
            Journal.open(directory.resolve("journal"), LayerCurvature.class, "test", resume)) {
      return journal.during(
          () ->
              CurvatureStudy.of(
                  context,
                  new CurvatureInputs(samples, before, after, name -> true),
                  options,
                  journal,
                  progress,
                  control));
    }
  }

  /** Returns g' V x of a token. */
  private static double slope(double[] gradient, double[] entries, double[] input, int token) {
    double sum = 0;
    for (int i = 0; i < OUTPUTS; i++) {
      for (int j = 0; j < INPUTS; j++) {
        sum += gradient[token * OUTPUTS + i] * entries[i * INPUTS + j] * input[token * INPUTS + j];
      }
    }
    return sum;
  }

  /** Returns the sum of the squared slopes of whole sequences. */
  private static double sumOfSquares(double[] gradient, double[] entries, double[] input) {
    double sum = 0;
    for (int sequence = 0; sequence < SEQUENCES; sequence++) {
      double slope = 0;
      for (int token = sequence * EACH; token < (sequence + 1) * EACH; token++) {
        slope += slope(gradient, entries, input, token);
      }
      sum += slope * slope;
    }
    return sum;
  }

  private static double curvature(double[] gradient, double[] entries, double[] input) {
    double square = Arrays.stream(entries).map(entry -> entry * entry).sum();
    double sum = 0;
    for (int token = 0; token < TOKENS; token++) {
      sum += Math.pow(slope(gradient, entries, input, token), 2);
    }
    return sum / TOKENS / square;
  }

  @Test
  void everyDirectionIsWhatItSays() throws IOException {
    Random random = Seeds.random("everyDirectionIsWhatItSays");
    double[] input = anisotropic(random, INPUTS);
    double[] gradient = anisotropic(random, OUTPUTS);
    double[] base = base();
    double[] tuned = plus(base, gaussian(random, OUTPUTS * INPUTS));
    double[] update = new double[tuned.length];
    Arrays.setAll(update, i -> tuned[i] - base[i]);
    Path capture = write(layer(writer(), LAYER, input, gradient, sequences()));
    CurvatureStudy study = study(capture, model("base", base, base), model("tuned", tuned, tuned));
    LayerCurvature found = study.layers().get(0);
    assertThat(found.rank()).isEqualTo(3);
    assertThat(found.sequences()).hasSize(SEQUENCES);
    double[] principal = update.clone();
    double[] complement = update.clone();
    for (int i = 0; i < update.length; i++) {
      boolean leads = i / INPUTS < 3 && i % INPUTS < 3;
      principal[i] = leads ? update[i] : 0;
      complement[i] = leads ? 0 : update[i];
    }
    expect(found, Along.UPDATE, curvature(gradient, update, input));
    expect(found, Along.PRINCIPAL, curvature(gradient, principal, input));
    expect(found, Along.COMPLEMENT, curvature(gradient, complement, input));
    double whole = Arrays.stream(update).map(entry -> entry * entry).sum();
    double part = Arrays.stream(principal).map(entry -> entry * entry).sum();
    assertThat(found.squaredNorm()).isCloseTo(whole, within(1e-9 * whole));
    assertThat(found.directions().shares().get(Along.PRINCIPAL))
        .isCloseTo(part / whole, within(1e-6));
    // The expected value along isotropic directions is the mean of |g|²|x|², divided by the number
    // of weights. The measured value may differ by its sampling error.
    double expected = 0;
    for (int token = 0; token < TOKENS; token++) {
      double inputs = 0;
      double gradients = 0;
      for (int j = 0; j < INPUTS; j++) {
        inputs += Math.pow(input[token * INPUTS + j], 2);
      }
      for (int i = 0; i < OUTPUTS; i++) {
        gradients += Math.pow(gradient[token * OUTPUTS + i], 2);
      }
      expected += inputs * gradients / TOKENS / (INPUTS * OUTPUTS);
    }
    double sd = found.directions().drawSd().get(Along.ISOTROPIC);
    assertThat(found.directions().along().get(Along.ISOTROPIC).value())
        .isCloseTo(expected, within(8 * sd / Math.sqrt(OPTIONS.draws())));
    // The trace of the Fisher information is this mean times the number of weights.
    LayerCurvature.Density density = found.spectrum().eigenvalueDensity().orElseThrow();
    double trace = expected * INPUTS * OUTPUTS;
    assertThat(density.trace().value()).isCloseTo(trace, within(12 * density.trace().se()));
    assertThat(density.largest())
        .isBetween(found.directions().along().get(Along.UPDATE).value(), trace);
    assertThat(Arrays.stream(density.shares()).sum() * 0.1).isBetween(0.5, 1.01);
    double divergence = sumOfSquares(gradient, update, input) / 2 / TOKENS;
    assertThat(found.klAlone().value()).isCloseTo(divergence, within(ROUNDING * divergence));
    assertThat(study.klTogether().orElseThrow().value())
        .isCloseTo(divergence, within(ROUNDING * divergence));
    // The leading inputs and gradients lie along the first axes, as do the singular vectors of the
    // base.
    assertThat(found.spectrum().kfacInputOverlap().orElseThrow().observed()).isGreaterThan(0.9);
    assertThat(found.spectrum().kfacGradientOverlap().orElseThrow().random().mean())
        .isCloseTo(3.0 / OUTPUTS, within(1e-12));
    assertThat(found.spectrum().leastInUpdateSpan())
        .isBetween(0.0, found.directions().along().get(Along.UPDATE).value());
  }

  private static void expect(LayerCurvature found, Along along, double expected) {
    assertThat(found.directions().along().get(along).value())
        .as(along.label())
        .isCloseTo(expected, within(ROUNDING * expected));
  }

  /** With sequences as the unit, the sums of slopes over sequences take the place of slopes. */
  @Test
  void sequencesMayBeTheUnit() throws IOException {
    Random random = Seeds.random("sequencesMayBeTheUnit");
    double[] input = anisotropic(random, INPUTS);
    double[] gradient = anisotropic(random, OUTPUTS);
    double[] base = base();
    double[] tuned = plus(base, gaussian(random, OUTPUTS * INPUTS));
    double[] update = new double[tuned.length];
    Arrays.setAll(update, i -> tuned[i] - base[i]);
    Path capture = write(layer(writer(), LAYER, input, gradient, sequences()));
    Path before = model("base", base, base);
    Path after = model("tuned", tuned, tuned);
    CurvatureOptions options = new CurvatureOptions(0.2, 0.5, 24, 8, SlopeUnit.SEQUENCE, 1e-9, 3);
    LayerCurvature found =
        study(capture, before, after, options, false, Progress.NONE).layers().get(0);
    LayerCurvature ofTokens = study(capture, before, after).layers().get(0);
    expect(
        found, Along.UPDATE, sumOfSquares(gradient, update, input) / TOKENS / found.squaredNorm());
    // ½ ΔᵀFΔ is computed over sequences for either unit.
    assertThat(found.klAlone().value())
        .isCloseTo(ofTokens.klAlone().value(), within(1e-12 * ofTokens.klAlone().value()));
    assertThat(found.klAlone().value())
        .isCloseTo(
            found.directions().along().get(Along.UPDATE).value() * found.squaredNorm() / 2,
            within(1e-9 * found.klAlone().value()));
    assertThat(found.sequences()).hasSize(SEQUENCES);
    assertThat(found.spectrum().eigenvalueDensity().orElseThrow().largest())
        .isGreaterThanOrEqualTo(
            found.directions().along().get(Along.UPDATE).value() * (1 - ROUNDING));
    assertThat(found.spectrum().leastInUpdateSpan())
        .isBetween(0.0, found.directions().along().get(Along.UPDATE).value());
  }

  @Test
  void whatWasInterruptedGoesOn() throws IOException {
    Random random = Seeds.random("whatWasInterruptedGoesOn");
    double[] input = anisotropic(random, INPUTS);
    double[] gradient = anisotropic(random, OUTPUTS);
    Path capture = both(input, gradient);
    double[] base = base();
    Path before = model("base", base, base);
    double[] tuned = plus(base, gaussian(random, base.length));
    Path after = model("tuned", tuned, tuned);
    CurvatureStudy whole = study(capture, before, after);
    assertThat(directory.resolve("journal")).doesNotExist();
    Progress interrupt =
        (name, done, total) -> {
          if (done > 0 && done < total) {
            control.cancel();
          }
        };
    assertThatThrownBy(() -> study(capture, before, after, OPTIONS, false, interrupt))
        .isInstanceOf(KernelException.class)
        .hasMessageContaining("cancelled");
    assertThat(Files.readAllLines(directory.resolve("journal"))).hasSize(2);
    control.close();
    control = Control.open(context);
    List<String> seen = new ArrayList<>();
    CurvatureStudy resumed =
        study(
            capture,
            before,
            after,
            OPTIONS,
            true,
            (name, done, total) -> seen.add(name + ' ' + done));
    assertThat(resumed).usingRecursiveComparison().isEqualTo(whole);
    assertThat(resumed.findings()).isEqualTo(whole.findings());
    assertThat(directory.resolve("journal")).doesNotExist();
  }

  /** Returns values along one direction, whose entries are all alike, and a little noise. */
  private static double[] alongOnes(Random random, int width) {
    double[] values = new double[TOKENS * width];
    double size = 0;
    for (int i = 0; i < values.length; i++) {
      size = i % width == 0 ? random.nextGaussian() : size;
      values[i] = (float) (size + 0.05 * random.nextGaussian());
    }
    return values;
  }

  /** An update along the one direction that the layer uses is steep. One across it is flat. */
  @Test
  void plantedCurvatureIsFound() throws IOException {
    Random random = Seeds.random("plantedCurvatureIsFound");
    Path capture = both(alongOnes(random, INPUTS), alongOnes(random, OUTPUTS));
    double[] base = base();
    Path before = model("base", base, base);
    double[] steep = new double[base.length];
    Arrays.fill(steep, 0.1);
    // Rows and columns that add up to zero are orthogonal to the direction of ones.
    double[] flat = gaussian(random, base.length);
    double[] rows = new double[OUTPUTS];
    double[] columns = new double[INPUTS];
    double mean = 0;
    for (int i = 0; i < flat.length; i++) {
      rows[i / INPUTS] += flat[i] / INPUTS;
      columns[i % INPUTS] += flat[i] / OUTPUTS;
      mean += flat[i] / flat.length;
    }
    for (int i = 0; i < flat.length; i++) {
      flat[i] += mean - rows[i / INPUTS] - columns[i % INPUTS];
    }
    CurvatureStudy of =
        study(capture, before, model("steep", plus(base, steep), plus(base, steep)));
    assertThat(of.findings().get(0).verdict()).isEqualTo(Verdict.CONTRADICTED);
    of = study(capture, before, model("flat", plus(base, flat), plus(base, flat)));
    assertThat(of.findings().get(0).verdict()).isEqualTo(Verdict.SUPPORTED);
  }

  /**
   * The positions of large entries alone can make an update steep or flat. The sign-flipped null
   * keeps these positions, so it explains such updates.
   */
  @Test
  void positionsOfEntriesAreExplained() throws IOException {
    Random random = Seeds.random("positionsOfEntriesAreExplained");
    double[] input = anisotropic(random, INPUTS);
    double[] gradient = anisotropic(random, OUTPUTS);
    Path capture = both(input, gradient);
    double[] base = base();
    Path before = model("base", base, base);
    double[] steep = new double[base.length];
    double[] flat = new double[base.length];
    for (int i = 0; i < base.length; i++) {
      boolean used = i / INPUTS < 3 && i % INPUTS < 3;
      steep[i] = used ? random.nextGaussian() : 0;
      flat[i] = i / INPUTS >= 3 && i % INPUTS >= 3 ? random.nextGaussian() : 0;
    }
    double[] noise = gaussian(random, base.length);
    double[] moreNoise = gaussian(random, base.length);
    CurvatureStudy of =
        study(capture, before, model("steep", plus(base, steep), plus(base, steep)));
    assertThat(of.findings().get(0).verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(of.layers().get(0).directions().along()).doesNotContainKey(Along.COMPLEMENT);
    of = study(capture, before, model("flat", plus(base, flat), plus(base, flat)));
    assertThat(of.findings().get(0).verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    // Both layers saw the same tokens, so their slopes are added before they are squared.
    double alone = of.layers().get(0).klAlone().value();
    ClusteredMean together = of.klTogether().orElseThrow();
    assertThat(together.value()).isCloseTo(4 * alone, within(1e-9 * alone));
    assertThat(of.klOfLayersAlone()).isCloseTo(2 * alone, within(1e-9 * alone));
    of = study(capture, before, model("noise", plus(base, noise), plus(base, moreNoise)));
    for (LayerCurvature layer : of.layers()) {
      PairedComparison compared =
          layer.compared(Along.UPDATE, Along.ISOTROPIC).orElseThrow().paired();
      // A single Gaussian direction differs from the others by no more than draws differ.
      assertThat(Math.abs(compared.difference().value()))
          .isLessThan(9 * layer.directions().drawSd().get(Along.ISOTROPIC));
    }
  }

  @Test
  void layersThatSayNothingAreSkippedByName() throws IOException {
    Random random = Seeds.random("layersThatSayNothingAreSkippedByName");
    double[] input = anisotropic(random, INPUTS);
    double[] gradient = anisotropic(random, OUTPUTS);
    Path capture = both(input, gradient);
    double[] base = base();
    double[] tuned = plus(base, gaussian(random, base.length));
    CurvatureStudy study = study(capture, model("base", base, base), model("tuned", tuned, base));
    assertThat(study.skipped()).containsOnlyKeys(OTHER);
    assertThat(study.layers()).hasSize(1);
    Accounting.Side side = study.accounting().tuned();
    assertThat(side.compared()).containsExactlyInAnyOrder(LAYER + ".weight", OTHER + ".weight");
    assertThat(side.leftOut()).isEmpty();
    Path one = write(layer(writer(), LAYER, input, gradient, sequences()));
    study = study(one, model("base", base, base), model("tuned", tuned, base));
    assertThat(study.accounting().base().leftOut())
        .containsExactly(new Accounting.Note(OTHER + ".weight", "the capture has no such layer"));
    assertThat(study.accounting().coverage().value()).isEqualTo(0.5);
    assertThatThrownBy(() -> study(capture, model("base", base, base), model("same", base, base)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("none of its layers changed");
  }

  @Test
  void whatIsNoCaptureIsRefused() throws IOException {
    Random random = Seeds.random("whatIsNoCaptureIsRefused");
    double[] input = anisotropic(random, INPUTS);
    double[] gradient = anisotropic(random, OUTPUTS);
    double[] base = base();
    Path before = model("base", base, base);
    Path after = model("tuned", plus(base, gaussian(random, base.length)), base);
    refused(
        layer(new SafetensorsWriter(), LAYER, input, gradient, sequences()),
        before,
        after,
        "metadata \"fisher\" is \"\"; it must be true");
    refused(
        layer(writer().metadata("kl", "-1"), LAYER, input, gradient, sequences()),
        before,
        after,
        "metadata \"kl\" is \"-1\"");
    refused(
        layer(writer(), LAYER, input, gradient, new long[TOKENS]),
        before,
        after,
        "layer \"" + LAYER + "\": all tokens belong to one sequence");
    refused(
        layer(writer(), LAYER, input, new double[TOKENS * OUTPUTS], sequences()),
        before,
        after,
        "layer \"" + LAYER + "\": all gradients are zero");
    refused(
        layer(writer(), "model.layers.7.mlp.up_proj", input, gradient, sequences()),
        before,
        after,
        "have no matrix \"model.layers.7.mlp.up_proj.weight\" in common");
    refused(
        layer(
            writer(),
            LAYER,
            Arrays.copyOf(input, INPUTS),
            Arrays.copyOf(gradient, OUTPUTS),
            new long[1]),
        before,
        after,
        "all tokens belong to one sequence");
    refused(
        writer()
            .tensor(LAYER + ".input", TensorType.F32, List.of(2L, 16L), new byte[128])
            .tensor(LAYER + ".grad_output", TensorType.F32, List.of(3L, 20L), new byte[240])
            .tensor(LAYER + ".sequence", TensorType.I64, List.of(2L), new byte[16]),
        before,
        after,
        "tensor \"" + LAYER + ".grad_output\" has 3 tokens; the input has 2");
    refused(
        writer().tensor(LAYER + ".input", TensorType.F32, List.of(2L, 16L), new byte[128]),
        before,
        after,
        "tensor \"" + LAYER + ".grad_output\" is missing");
    refused(
        writer()
            .tensor(LAYER + ".input", TensorType.F32, List.of(2L, 8L), new byte[64])
            .tensor(LAYER + ".grad_output", TensorType.F32, List.of(2L, 20L), new byte[160])
            .tensor(LAYER + ".sequence", TensorType.I32, List.of(2L), new byte[8]),
        before,
        after,
        "the weights are 20 x 16, but the samples belong to a layer of 20 x 8");
    gradient[7 * OUTPUTS] = Double.NaN;
    refused(
        layer(writer(), LAYER, input, gradient, sequences()),
        before,
        after,
        "layer \"" + LAYER + "\": samples.gradient has an entry that is not finite, in row 7");
  }

  private void refused(SafetensorsWriter writer, Path before, Path after, String why)
      throws IOException {
    Path capture = write(writer);
    assertThatThrownBy(() -> study(capture, before, after))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(capture.toString())
        .hasMessageContaining(why);
  }
}
