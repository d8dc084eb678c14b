package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.kernel.Context;
import org.threegate.testing.NativeLeaks;

/**
 * Compares gradients in blocks, of packed rows and with fused attention to those of plain graphs.
 */
@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class LayerwiseGradientsTest {
  private static final Path DECODERS = Path.of("src/test/resources/decoders");
  private static final double TEMPERATURE = 0.8;

  // Derivatives are computed in float64, and compared in float32: half a unit in the last place on
  // each side, and the rounding of sums in float64, which is far smaller.
  private static final double ABSOLUTE = 1e-9;
  private static final double RELATIVE = 0x1p-22;

  private static final List<int[]> PROMPTS =
      List.of(
          new int[] {3, 4, 5, 6, 7},
          new int[] {8, 9, 10},
          new int[] {3, 4, 5, 6, 7},
          new int[] {8, 9, 10},
          new int[] {11});
  private static final List<int[]> COMPLETIONS =
      List.of(
          new int[] {5, 6, 2},
          new int[] {7},
          new int[] {9, 10, 11, 12, 2},
          new int[] {3, 4},
          new int[] {6, 6, 6, 6});
  private static final int PROMPT = 5;
  private static final int LONGEST = 5;

  @AfterEach
  void allThreads() {
    Threads.use(Runtime.getRuntime().availableProcessors());
  }

  private static Padded padded() {
    return Padded.left(PROMPTS, PROMPT, 0).followedBy(Padded.right(COMPLETIONS, LONGEST, 0));
  }

  /** Weights of a loss, which differ between tokens and are 0 at padding. */
  private static Tensor weights(double factor) {
    float[] values = new float[PROMPTS.size() * LONGEST];
    for (int i = 0; i < PROMPTS.size(); i++) {
      for (int j = 0; j < COMPLETIONS.get(i).length; j++) {
        values[i * LONGEST + j] = (float) (factor * Math.sin(3 * i + j + 1));
      }
    }
    return Tensors.of(values, PROMPTS.size(), LONGEST);
  }

  private static Tensor loss(TokenMeasures measures) {
    ScalarType type = measures.logProbabilities().scalar_type().intern();
    Tensor ofChosen = measures.logProbabilities().mul(weights(1).to(type)).sum();
    return measures
        .entropies()
        .filter(Tensor::requires_grad)
        .map(own -> ofChosen.add(own.mul(weights(0.7).to(type)).sum()))
        .orElse(ofChosen);
  }

  /** The gradients of one graph of basic operations, and the measures. */
  private static List<float[]> plain(Decoder model, TokenMeasures.Entropies entropies) {
    List<float[]> values = new ArrayList<>();
    try (PointerScope scope = new PointerScope()) {
      Padded texts = padded();
      Decoder.Call call =
          model.begin(texts.tokens(), texts.mask(), Optional.empty(), Optional.empty());
      Tensor states = model.hidden(call, model.embedded(texts.tokens()));
      Tensor value =
          loss(
              model.measures(
                  call, states, texts.tokens(), TEMPERATURE, PROMPT, LONGEST, entropies));
      TensorVector gradients =
          torch.grad(
              new TensorVector(value),
              new TensorVector(model.trainable().values().toArray(new Tensor[0])),
              new TensorVector(),
              new BoolOptional(false),
              false,
              true);
      for (long i = 0; i < gradients.size(); i++) {
        values.add(gradients.get(i).defined() ? Tensors.floats(gradients.get(i)) : new float[0]);
      }
    }
    return values;
  }

  private static List<float[]> values(Decoder model, Function<GradientList, Runnable> computation) {
    List<float[]> values = new ArrayList<>();
    try (PointerScope scope = new PointerScope()) {
      GradientList list = new GradientList(List.copyOf(model.trainable().values()));
      computation.apply(list).run();
      for (Optional<Tensor> gradient : list.gradients()) {
        values.add(gradient.map(Tensors::floats).orElseGet(() -> new float[0]));
        gradient.ifPresent(Tensor::close);
      }
    }
    return values;
  }

  private static List<float[]> blocks(
      Decoder model, TokenMeasures.Entropies entropies, long columns) {
    return values(
        model,
        list ->
            () ->
                new Differentiation(model, padded(), TEMPERATURE, PROMPT, LONGEST, false)
                    .measured(entropies, LayerwiseGradientsTest::loss, list, columns));
  }

  private static List<float[]> packed(Decoder model, TokenMeasures.Entropies entropies) {
    return values(
        model,
        list ->
            () ->
                new PackedDifferentiation(
                        model, Packed.of(PROMPTS, COMPLETIONS), TEMPERATURE, false)
                    .measured(entropies, LayerwiseGradientsTest::loss, list));
  }

  private static void requireClose(List<float[]> own, List<float[]> wanted) {
    assertThat(own).hasSameSizeAs(wanted);
    boolean moves = false;
    for (int i = 0; i < wanted.size(); i++) {
      assertThat(own.get(i)).hasSameSizeAs(wanted.get(i));
      for (int j = 0; j < wanted.get(i).length; j++) {
        moves |= Math.abs(wanted.get(i)[j]) > 1e-3;
        assertThat((double) own.get(i)[j])
            .isCloseTo(wanted.get(i)[j], within(ABSOLUTE + RELATIVE * Math.abs(wanted.get(i)[j])));
      }
    }
    assertThat(moves).isTrue();
  }

  /** The models cover tied embeddings, biases, windows, scaled embeddings, sinks and experts. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "llama",
        "llama-tied-biased",
        "mistral-window",
        "qwen2",
        "qwen3",
        "gemma3",
        "gpt-oss",
        "qwen3-moe"
      })
  void blocksOfTheVocabularyGiveTheGradientsOfAWholeOne(String name) {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, DECODERS.resolve(name), Decoder.Storage.FLOAT64)) {
      for (TokenMeasures.Entropies entropies : TokenMeasures.Entropies.values()) {
        List<float[]> wanted = plain(model, entropies);
        for (long columns : new long[] {3, 7, model.config().vocabulary()}) {
          requireClose(blocks(model, entropies, columns), wanted);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "llama",
        "llama-tied-biased",
        "llama-yarn",
        "mistral-window",
        "qwen2",
        "qwen3",
        "gemma3",
        "qwen3-moe"
      })
  void packedRowsGiveTheGradientsOfPaddedOnes(String name) {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, DECODERS.resolve(name), Decoder.Storage.FLOAT64)) {
      for (TokenMeasures.Entropies entropies : TokenMeasures.Entropies.values()) {
        requireClose(packed(model, entropies), plain(model, entropies));
      }
      try (PointerScope scope = new PointerScope()) {
        Packed row = Packed.of(PROMPTS, COMPLETIONS);
        // Three prompts of 5, 3 and 1 tokens, and 15 tokens of completions.
        assertThat(row.width()).isEqualTo(24);
        Padded texts = padded();
        Tensor ones = weights(1).ne(new Scalar(0.0));
        float[] wanted =
            Tensors.floats(
                model
                    .logProbabilities(texts.tokens(), texts.mask(), TEMPERATURE, PROMPT, LONGEST)
                    .mul(ones));
        requireClose(
            List.of(Tensors.floats(model.logProbabilities(row, TEMPERATURE))), List.of(wanted));
        float[] spread =
            Tensors.floats(
                model
                    .entropies(texts.tokens(), texts.mask(), TEMPERATURE, PROMPT, LONGEST)
                    .mul(ones));
        requireClose(List.of(Tensors.floats(model.entropies(row, TEMPERATURE))), List.of(spread));
      }
    }
  }

  @Test
  void headsWithFactorsAreTrainedInBlocks() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, DECODERS.resolve("llama"), Decoder.Storage.FLOAT64)) {
      for (String name : List.of("lm_head.weight", "model.layers.0.self_attn.q_proj.weight")) {
        Tensor weight = model.parameters().get(name);
        model.add(
            name,
            new LowRankFactors(
                wide(factor(2, weight.size(1), 0.3)), wide(factor(weight.size(0), 2, 0.2)), 1.5));
      }
      for (TokenMeasures.Entropies entropies : TokenMeasures.Entropies.values()) {
        List<float[]> wanted = plain(model, entropies);
        requireClose(blocks(model, entropies, 5), wanted);
        requireClose(packed(model, entropies), wanted);
      }
    }
  }

  private static Tensor wide(Tensor narrow) {
    Tensor wide = Scopes.own(() -> narrow.detach().to(ScalarType.Double).requires_grad_(true));
    narrow.close();
    return wide;
  }

  private static Tensor factor(long rows, long columns, double size) {
    float[] values = new float[Math.toIntExact(rows * columns)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (size * Math.cos(5 * i + rows));
    }
    return Scopes.own(() -> Tensors.of(values, rows, columns).requires_grad_(true));
  }

  @Test
  void modelsThatCannotBePackedAreRefused() {
    try (Context context = Context.open()) {
      for (String name : List.of("gpt-oss", "llama-dynamic", "llama-longrope")) {
        try (Decoder model = Decoder.load(context, DECODERS.resolve(name));
            PointerScope scope = new PointerScope()) {
          assertThat(model.isPackable()).isFalse();
          assertThatThrownBy(
                  () -> new PackedDifferentiation(model, Packed.of(PROMPTS, COMPLETIONS), 1, false))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessage("texts of this model cannot be packed");
        }
      }
    }
  }

  private static double apart(List<float[]> own, List<float[]> wanted) {
    double apart = 0;
    for (int i = 0; i < wanted.size(); i++) {
      for (int j = 0; j < wanted.get(i).length; j++) {
        apart += Math.pow(own.get(i)[j] - wanted.get(i)[j], 2);
      }
    }
    return Math.sqrt(apart);
  }

  /** Blocks, packing and attention in float32 add no error to that of bfloat16 itself. */
  @Test
  void packedRowsInBf16AreAsNearToTheExactOnesAsPaddedOnes() {
    try (Context context = Context.open();
        Decoder exact = Decoder.load(context, DECODERS.resolve("qwen2"), Decoder.Storage.FLOAT64);
        Decoder model = Decoder.load(context, DECODERS.resolve("qwen2"), Decoder.Storage.BF16)) {
      List<float[]> wanted = plain(exact, TokenMeasures.Entropies.NONE);
      double plain = apart(plain(model, TokenMeasures.Entropies.NONE), wanted);
      assertThat(plain).isPositive();
      assertThat(apart(packed(model, TokenMeasures.Entropies.NONE), wanted)).isLessThan(2 * plain);
      assertThat(apart(blocks(model, TokenMeasures.Entropies.NONE, 5), wanted))
          .isLessThan(2 * plain);
    }
  }

  @Test
  void packedMatricesMultiplyAsPlainOnesForAnyNumberOfThreads() {
    try (PointerScope scope = new PointerScope()) {
      // Large enough for several pieces, the last of which is smaller than the others.
      int outputs = 9000;
      int inputs = 500;
      Tensor matrix = factor(outputs, inputs, 1).detach().to(ScalarType.BFloat16);
      Tensor rows = factor(3, inputs, 1).detach().to(ScalarType.BFloat16).unsqueeze(1);
      float[] wanted =
          Tensors.floats(torch.linear(rows.to(ScalarType.Float), matrix.to(ScalarType.Float)));
      List<float[]> products = new ArrayList<>();
      for (int threads : new int[] {1, 3}) {
        Threads.use(threads);
        try (PackedMatrices packed = PackedMatrices.of(Map.of("matrix", matrix), 3)) {
          if (!packed.contains("matrix")) {
            return; // no such products on this processor
          }
          assertThat(packed.contains("other")).isFalse();
          Tensor product = packed.product("matrix", rows);
          assertThat(Tensors.shape(product)).containsExactly(3L, 1L, (long) outputs);
          products.add(Tensors.floats(product));
          // Finished sequences leave, so later steps have fewer rows.
          Tensor one = packed.product("matrix", rows.narrow(0, 1, 1).contiguous());
          float[] alone = Tensors.floats(one);
          for (int i = 0; i < outputs; i++) {
            assertThat(alone[i])
                .isCloseTo(
                    products.get(0)[outputs + i],
                    within(Math.abs(alone[i]) * 0x1p-7f + 500 * 0x1p-20f));
          }
        }
      }
      assertThat(products.get(0)).isEqualTo(products.get(1));
      for (int i = 0; i < wanted.length; i++) {
        // One rounding to bfloat16, and sums of 500 products of at most 1 in float32.
        assertThat((double) products.get(0)[i])
            .isCloseTo(wanted[i], within(Math.abs(wanted[i]) * 0x1p-8 + 500 * 0x1p-20));
      }
    }
  }
}
